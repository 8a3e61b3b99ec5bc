/* Stage 4, weights: libhdf5, loaded when it is first needed.
 * The headers of the build give the types, the library comes by dlopen; both must be of one minor
 * version, since structures (file drivers, links) change between them. */
#ifndef SB_WEIGHTS_HDF5_LIBRARY_H
#define SB_WEIGHTS_HDF5_LIBRARY_H

#include <samebits/error.h>

#include <hdf5.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

/* The header's constants call these in a linked library; here it is open before they are used. */
#undef H5OPEN
#undef H5CHECK
#define H5OPEN
#define H5CHECK

/* Objects are known by a token since 1.12, by their address before. */
#if H5_VERSION_GE(1, 12, 0)
#define SB_H5_VERSIONED_FUNCTIONS(X)                                                               \
    X(H5Literate2)                                                                                 \
    X(H5Oget_info3)                                                                                \
    X(H5Oopen_by_token)
typedef H5O_token_t sb_h5_place;
typedef H5L_info2_t sb_h5_link;
#define SB_H5_LINK_PLACE(link) ((link)->u.token)
#else
#define SB_H5_VERSIONED_FUNCTIONS(X)                                                               \
    X(H5Literate)                                                                                  \
    X(H5Oget_info2)                                                                                \
    X(H5Oopen_by_addr)
typedef haddr_t sb_h5_place;
typedef H5L_info_t sb_h5_link;
#define SB_H5_LINK_PLACE(link) ((link)->u.address)
#endif

#define SB_H5_FUNCTIONS(X)                                                                         \
    X(H5Aclose)                                                                                    \
    X(H5Acreate2)                                                                                  \
    X(H5Aexists)                                                                                   \
    X(H5Aget_space)                                                                                \
    X(H5Aget_type)                                                                                 \
    X(H5Aopen)                                                                                     \
    X(H5Aread)                                                                                     \
    X(H5Awrite)                                                                                    \
    X(H5Dclose)                                                                                    \
    X(H5Dcreate2)                                                                                  \
    X(H5Dget_create_plist)                                                                         \
    X(H5Dget_offset)                                                                               \
    X(H5Dget_space)                                                                                \
    X(H5Dget_type)                                                                                 \
    X(H5Dread)                                                                                     \
    X(H5Dvlen_reclaim)                                                                             \
    X(H5Dwrite)                                                                                    \
    X(H5Eclear2)                                                                                   \
    X(H5Eset_auto2)                                                                                \
    X(H5Ewalk2)                                                                                    \
    X(H5FDregister)                                                                                \
    X(H5FDunregister)                                                                              \
    X(H5Fclose)                                                                                    \
    X(H5Fcreate)                                                                                   \
    X(H5Fopen)                                                                                     \
    X(H5Gclose)                                                                                    \
    X(H5Gopen2)                                                                                    \
    X(H5Iget_type)                                                                                 \
    X(H5Oclose)                                                                                    \
    X(H5PLset_loading_state)                                                                       \
    X(H5Pclose)                                                                                    \
    X(H5Pcreate)                                                                                   \
    X(H5Pget_chunk)                                                                                \
    X(H5Pget_filter2)                                                                              \
    X(H5Pget_nfilters)                                                                             \
    X(H5Pget_external_count)                                                                       \
    X(H5Pget_layout)                                                                               \
    X(H5Pset_create_intermediate_group)                                                            \
    X(H5Pset_cache)                                                                                \
    X(H5Pset_driver)                                                                               \
    X(H5Pset_evict_on_close)                                                                       \
    X(H5Pset_fapl_sec2)                                                                            \
    X(H5Pset_obj_track_times)                                                                      \
    X(H5Screate)                                                                                   \
    X(H5Screate_simple)                                                                            \
    X(H5Sclose)                                                                                    \
    X(H5Sget_simple_extent_dims)                                                                   \
    X(H5Sget_simple_extent_ndims)                                                                  \
    X(H5Sget_simple_extent_npoints)                                                                \
    X(H5Sget_simple_extent_type)                                                                   \
    X(H5Sselect_hyperslab)                                                                         \
    X(H5Tclose)                                                                                    \
    X(H5Tcopy)                                                                                     \
    X(H5Tcreate)                                                                                   \
    X(H5Tenum_create)                                                                              \
    X(H5Tenum_insert)                                                                              \
    X(H5Tget_class)                                                                                \
    X(H5Tget_ebias)                                                                                \
    X(H5Tget_fields)                                                                               \
    X(H5Tget_member_name)                                                                          \
    X(H5Tget_member_offset)                                                                        \
    X(H5Tget_member_type)                                                                          \
    X(H5Tget_member_value)                                                                         \
    X(H5Tget_nmembers)                                                                             \
    X(H5Tget_norm)                                                                                 \
    X(H5Tget_offset)                                                                               \
    X(H5Tget_order)                                                                                \
    X(H5Tget_precision)                                                                            \
    X(H5Tget_sign)                                                                                 \
    X(H5Tget_size)                                                                                 \
    X(H5Tget_super)                                                                                \
    X(H5Tinsert)                                                                                   \
    X(H5Tis_variable_str)                                                                          \
    X(H5Tset_ebias)                                                                                \
    X(H5Tset_fields)                                                                               \
    X(H5Tset_size)                                                                                 \
    X(H5Tset_strpad)                                                                               \
    X(H5Tset_tag)                                                                                  \
    X(H5Zregister)                                                                                 \
    X(H5close)                                                                                     \
    X(H5free_memory)                                                                               \
    X(H5get_libversion)                                                                            \
    X(H5open)                                                                                      \
    SB_H5_VERSIONED_FUNCTIONS(X)

/* Identifiers that the library sets when it is opened. */
#define SB_H5_IDENTIFIERS(X)                                                                       \
    X(H5P_CLS_DATASET_CREATE_ID_g)                                                                 \
    X(H5P_CLS_FILE_ACCESS_ID_g)                                                                    \
    X(H5P_CLS_FILE_CREATE_ID_g)                                                                    \
    X(H5P_CLS_GROUP_CREATE_ID_g)                                                                   \
    X(H5P_CLS_LINK_CREATE_ID_g)                                                                    \
    X(H5T_C_S1_g)                                                                                  \
    X(H5T_IEEE_F32LE_g)                                                                            \
    X(H5T_IEEE_F64LE_g)                                                                            \
    X(H5T_STD_I8LE_g)                                                                              \
    X(H5T_STD_I16LE_g)                                                                             \
    X(H5T_STD_I32LE_g)                                                                             \
    X(H5T_STD_I64LE_g)                                                                             \
    X(H5T_STD_U8LE_g)                                                                              \
    X(H5T_STD_U16LE_g)                                                                             \
    X(H5T_STD_U32LE_g)                                                                             \
    X(H5T_STD_U64LE_g)

struct sb_hdf5_library {
#define SB_H5_MEMBER(name) __typeof__(name) *name;
    SB_H5_FUNCTIONS(SB_H5_MEMBER)
    SB_H5_IDENTIFIERS(SB_H5_MEMBER)
#undef SB_H5_MEMBER
    /* In 1.10.7 and later; NULL before. */
    herr_t (*H5Pset_file_locking)(hid_t fapl, hbool_t use, hbool_t ignore_when_disabled);
    /* H5Dget_chunk_info_by_coord, in 1.10.5 and later; NULL before. */
    herr_t (*get_chunk_info)(hid_t dataset, const hsize_t *offset, unsigned *filter_mask,
                             haddr_t *address, hsize_t *size);
    char version[32];
};

/* The library, loaded and opened, with its error printing and its plugins off; or NULL with err.
 * Loaded once a process; a second call is cheap. */
const struct sb_hdf5_library *sb_hdf5_library(struct sb_error *err);

/* Sets err to "<format>: <what libhdf5 says went wrong deepest>" and returns code. */
int sb_hdf5_error(const struct sb_hdf5_library *h5, struct sb_error *err, int code,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
