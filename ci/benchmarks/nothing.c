/* A program that does nothing: what a run costs without any work in it. Linked statically. */
int main(void) {
    return 0;
}
