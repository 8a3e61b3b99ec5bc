/* Tests: a shared object that is no backend. */
extern const int sb_backend_of_nothing;
const int sb_backend_of_nothing = 0;
