#!/bin/sh
# Prints the soname of the libhdf5 that pkg-config knows, so that the program can load it late; an
# empty line where it cannot be told.
soname() {
    [ -e "$1" ] && readelf -d "$1" | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p'
}
for flag in $(pkg-config --libs-only-L hdf5-serial || pkg-config --libs-only-L hdf5); do
    soname "${flag#-L}/libhdf5.so" && exit
done
soname "$(${CC:-cc} -print-file-name=libhdf5.so)"
exit 0
