/* Stage 4, weights: HDF5 datatypes to element types and back. See weights/hdf5_type.h. */
#include "weights/hdf5_type.h"

#include "weights/element.h"

#include <stdio.h>
#include <string.h>

/* Field layout of floats: sign at the top, then exponent, then mantissa, without gaps. */
static const struct {
    enum sb_dtype dtype;
    size_t size, exponent_bits, mantissa_bits, bias;
} floats[] = {
    {SB_DTYPE_F64, 8, 11, 52, 1023}, {SB_DTYPE_F32, 4, 8, 23, 127},
    {SB_DTYPE_F16, 2, 5, 10, 15},    {SB_DTYPE_BF16, 2, 8, 7, 127},
    {SB_DTYPE_F8_E4M3, 1, 4, 3, 7},  {SB_DTYPE_F8_E5M2, 1, 5, 2, 15},
};

/* Types that HDF5 has no name for are stored as opaque bytes with an attribute `dtype`: Keras does
 * so for bfloat16, with the names of ml_dtypes. */
static const struct {
    enum sb_dtype dtype;
    const char *attribute;
} opaques[] = {
    {SB_DTYPE_BF16, "bfloat16"},
    {SB_DTYPE_F8_E4M3, "float8_e4m3fn"},
    {SB_DTYPE_F8_E5M2, "float8_e5m2"},
};

static struct sb_hdf5_type ignored(const char *why) {
    return (struct sb_hdf5_type){.ignored = why};
}

/* Does the type's order matter, and is it one that can be turned round? */
static bool order_known(const struct sb_hdf5_library *h5, hid_t type, bool *big_endian) {
    H5T_order_t order = h5->H5Tget_order(type);
    *big_endian = order == H5T_ORDER_BE;
    return order == H5T_ORDER_LE || order == H5T_ORDER_BE;
}

static struct sb_hdf5_type integer_type(const struct sb_hdf5_library *h5, hid_t type) {
    static const enum sb_dtype by_size[9][2] = {
        [1] = {SB_DTYPE_U8, SB_DTYPE_I8},
        [2] = {SB_DTYPE_U16, SB_DTYPE_I16},
        [4] = {SB_DTYPE_U32, SB_DTYPE_I32},
        [8] = {SB_DTYPE_U64, SB_DTYPE_I64},
    };
    size_t size = h5->H5Tget_size(type);
    if ((size != 1 && size != 2 && size != 4 && size != 8) ||
        h5->H5Tget_precision(type) != 8 * size || h5->H5Tget_offset(type) != 0)
        return ignored("integer of an uncommon width");
    struct sb_hdf5_type found = {.dtype = by_size[size][h5->H5Tget_sign(type) == H5T_SGN_2]};
    return order_known(h5, type, &found.big_endian) ? found : ignored("uncommon byte order");
}

static struct sb_hdf5_type float_type(const struct sb_hdf5_library *h5, hid_t type) {
    size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
    if (h5->H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0)
        return ignored("float of an uncommon layout");
    struct sb_hdf5_type found = {0};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        if (h5->H5Tget_size(type) == floats[i].size && mantissa == 0 &&
            mantissa_bits == floats[i].mantissa_bits && exponent == mantissa_bits &&
            exponent_bits == floats[i].exponent_bits && sign == mantissa_bits + exponent_bits &&
            h5->H5Tget_ebias(type) == floats[i].bias && h5->H5Tget_offset(type) == 0 &&
            h5->H5Tget_precision(type) == 8 * floats[i].size &&
            h5->H5Tget_norm(type) == H5T_NORM_IMPLIED) {
            found.dtype = floats[i].dtype;
            return order_known(h5, type, &found.big_endian) ? found
                                                            : ignored("uncommon byte order");
        }
    }
    return ignored("float of an uncommon layout");
}

static bool member_is(const struct sb_hdf5_library *h5, hid_t type, unsigned index,
                      const char *name) {
    char *found = h5->H5Tget_member_name(type, index);
    bool same = found && strcmp(found, name) == 0;
    h5->H5free_memory(found);
    return same;
}

/* h5py's bool: an enumeration of one byte with FALSE = 0 and TRUE = 1. */
static bool is_bool(const struct sb_hdf5_library *h5, hid_t type) {
    char first = -1, second = -1;
    if (h5->H5Tget_size(type) != 1 || h5->H5Tget_nmembers(type) != 2 ||
        h5->H5Tget_member_value(type, 0, &first) < 0 ||
        h5->H5Tget_member_value(type, 1, &second) < 0)
        return false;
    unsigned of_true = first == 1 ? 0 : 1;
    return (of_true ? second : first) == 1 && (of_true ? first : second) == 0 &&
           member_is(h5, type, of_true, "TRUE") && member_is(h5, type, !of_true, "FALSE");
}

/* Any other enumeration is the integers that it names, as h5py has it. */
static struct sb_hdf5_type enum_type(const struct sb_hdf5_library *h5, hid_t type) {
    if (is_bool(h5, type))
        return (struct sb_hdf5_type){.dtype = SB_DTYPE_BOOL};
    hid_t base = h5->H5Tget_super(type);
    if (base < 0)
        return ignored("enumeration of an uncommon type");
    struct sb_hdf5_type found = integer_type(h5, base);
    h5->H5Tclose(base);
    return found;
}

/* h5py's complex: a compound of two equal floats r and i, without gaps. */
static struct sb_hdf5_type compound_type(const struct sb_hdf5_library *h5, hid_t type) {
    if (h5->H5Tget_nmembers(type) != 2 || !member_is(h5, type, 0, "r") ||
        !member_is(h5, type, 1, "i"))
        return ignored("compound");
    struct sb_hdf5_type parts[2];
    for (unsigned i = 0; i < 2; i++) {
        hid_t member = h5->H5Tget_member_type(type, i);
        if (member < 0)
            return ignored("compound");
        parts[i] =
            h5->H5Tget_class(member) == H5T_FLOAT ? float_type(h5, member) : ignored("compound");
        h5->H5Tclose(member);
    }
    enum sb_dtype part = parts[0].dtype;
    size_t size = sb_dtype_size(part);
    if (parts[0].ignored || parts[1].ignored || parts[1].dtype != part ||
        parts[0].big_endian != parts[1].big_endian ||
        (part != SB_DTYPE_F32 && part != SB_DTYPE_F64) || h5->H5Tget_member_offset(type, 0) != 0 ||
        h5->H5Tget_member_offset(type, 1) != size || h5->H5Tget_size(type) != 2 * size)
        return ignored("compound");
    return (struct sb_hdf5_type){.dtype = part == SB_DTYPE_F32 ? SB_DTYPE_C64 : SB_DTYPE_C128,
                                 .big_endian = parts[0].big_endian};
}

/* Reads a string of an open attribute, "" where it is none. */
static void attribute_text(const struct sb_hdf5_library *h5, hid_t attribute, char text[64]) {
    text[0] = '\0';
    hid_t type = h5->H5Aget_type(attribute), space = h5->H5Aget_space(attribute);
    if (type >= 0 && space >= 0 && h5->H5Tget_class(type) == H5T_STRING &&
        h5->H5Sget_simple_extent_npoints(space) == 1) {
        char *variable = NULL;
        size_t size = h5->H5Tget_size(type);
        if (h5->H5Tis_variable_str(type) > 0) {
            if (h5->H5Aread(attribute, type, &variable) >= 0 && variable) {
                snprintf(text, 64, "%s", variable);
                h5->H5Dvlen_reclaim(type, space, H5P_DEFAULT, &variable);
            }
        } else if (size < 64 && h5->H5Aread(attribute, type, text) >= 0) {
            text[size] = '\0';
        } else {
            text[0] = '\0';
        }
    }
    if (type >= 0)
        h5->H5Tclose(type);
    if (space >= 0)
        h5->H5Sclose(space);
}

static struct sb_hdf5_type opaque_type(const struct sb_hdf5_library *h5, hid_t dataset,
                                       hid_t type) {
    if (h5->H5Aexists(dataset, "dtype") <= 0)
        return ignored("opaque bytes");
    hid_t attribute = h5->H5Aopen(dataset, "dtype", H5P_DEFAULT);
    if (attribute < 0)
        return ignored("opaque bytes");
    char text[64];
    attribute_text(h5, attribute, text);
    h5->H5Aclose(attribute);
    for (size_t i = 0; i < sizeof opaques / sizeof *opaques; i++) {
        if (strcmp(text, opaques[i].attribute) == 0 &&
            h5->H5Tget_size(type) == sb_dtype_size(opaques[i].dtype))
            return (struct sb_hdf5_type){.dtype = opaques[i].dtype};
    }
    return ignored("opaque bytes");
}

struct sb_hdf5_type sb_hdf5_type(const struct sb_hdf5_library *h5, hid_t dataset, hid_t type) {
    switch (h5->H5Tget_class(type)) {
    case H5T_INTEGER:
        return integer_type(h5, type);
    case H5T_FLOAT:
        return float_type(h5, type);
    case H5T_ENUM:
        return enum_type(h5, type);
    case H5T_COMPOUND:
        return compound_type(h5, type);
    case H5T_OPAQUE:
        return opaque_type(h5, dataset, type);
    case H5T_STRING:
        return ignored("string");
    case H5T_REFERENCE:
        return ignored("reference");
    case H5T_VLEN:
        return ignored("variable-length elements");
    case H5T_ARRAY:
        return ignored("array elements");
    case H5T_BITFIELD:
        return ignored("bit field");
    default:
        return ignored("elements of a kind that is not known");
    }
}

static hid_t new_bool(const struct sb_hdf5_library *h5) {
    hid_t type = h5->H5Tenum_create(*h5->H5T_STD_I8LE_g);
    signed char values[] = {0, 1};
    if (type >= 0 && (h5->H5Tenum_insert(type, "FALSE", &values[0]) < 0 ||
                      h5->H5Tenum_insert(type, "TRUE", &values[1]) < 0)) {
        h5->H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

static hid_t new_complex(const struct sb_hdf5_library *h5, hid_t part, size_t size) {
    hid_t type = h5->H5Tcreate(H5T_COMPOUND, 2 * size);
    if (type >= 0 &&
        (h5->H5Tinsert(type, "r", 0, part) < 0 || h5->H5Tinsert(type, "i", size, part) < 0)) {
        h5->H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

/* f16 as h5py writes it: a copy of f32 with other fields, shrunk after they fit. */
static hid_t new_half(const struct sb_hdf5_library *h5) {
    hid_t type = h5->H5Tcopy(*h5->H5T_IEEE_F32LE_g);
    if (type >= 0 && (h5->H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 ||
                      h5->H5Tset_size(type, 2) < 0 || h5->H5Tset_ebias(type, 15) < 0)) {
        h5->H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

static hid_t new_opaque(const struct sb_hdf5_library *h5, enum sb_dtype dtype) {
    hid_t type = h5->H5Tcreate(H5T_OPAQUE, sb_dtype_size(dtype));
    if (type >= 0 && h5->H5Tset_tag(type, "") < 0) {
        h5->H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

const char *sb_hdf5_type_attribute(enum sb_dtype dtype) {
    for (size_t i = 0; i < sizeof opaques / sizeof *opaques; i++) {
        if (opaques[i].dtype == dtype)
            return opaques[i].attribute;
    }
    return NULL;
}

hid_t sb_hdf5_type_new(const struct sb_hdf5_library *h5, enum sb_dtype dtype) {
    hid_t *const named[SB_N_DTYPES] = {
        [SB_DTYPE_I8] = h5->H5T_STD_I8LE_g,    [SB_DTYPE_I16] = h5->H5T_STD_I16LE_g,
        [SB_DTYPE_I32] = h5->H5T_STD_I32LE_g,  [SB_DTYPE_I64] = h5->H5T_STD_I64LE_g,
        [SB_DTYPE_U8] = h5->H5T_STD_U8LE_g,    [SB_DTYPE_U16] = h5->H5T_STD_U16LE_g,
        [SB_DTYPE_U32] = h5->H5T_STD_U32LE_g,  [SB_DTYPE_U64] = h5->H5T_STD_U64LE_g,
        [SB_DTYPE_F32] = h5->H5T_IEEE_F32LE_g, [SB_DTYPE_F64] = h5->H5T_IEEE_F64LE_g,
    };
    if (named[dtype])
        return h5->H5Tcopy(*named[dtype]);
    switch (dtype) {
    case SB_DTYPE_BOOL:
        return new_bool(h5);
    case SB_DTYPE_F16:
        return new_half(h5);
    case SB_DTYPE_C64:
        return new_complex(h5, *h5->H5T_IEEE_F32LE_g, sizeof(float));
    case SB_DTYPE_C128:
        return new_complex(h5, *h5->H5T_IEEE_F64LE_g, sizeof(double));
    default:
        return new_opaque(h5, dtype);
    }
}
