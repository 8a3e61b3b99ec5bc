"""Writes a file's bytes as a C array: cuda_image.py IMAGE OUTPUT.c"""
import sys

with open(sys.argv[1], "rb") as file:
    image = file.read()
lines = [",".join(str(byte) for byte in image[at:at + 24]) + "," for at in range(0, len(image), 24)]
with open(sys.argv[2], "w", encoding="ascii") as file:
    file.write("/* Generated: what nvcc made of cuda_kernels.cu. */\n"
               "extern const unsigned char sb_cuda_image[];\n"
               "_Alignas(16) const unsigned char sb_cuda_image[] = {\n" + "\n".join(lines) + "\n};\n")
