"""Makes C of the page's parts: embed.py PAGE STYLE SCRIPT OUTPUT"""
import base64
import hashlib
import sys


def literal(name, text):
    """An array of numbers: C does not promise that a string may be this long."""
    values = [str(byte - 256 if byte > 127 else byte) for byte in text.encode() + b"\0"]
    lines = ",\n    ".join(",".join(values[i:i + 32]) for i in range(0, len(values), 32))
    return f"const char {name}[] = {{\n    {lines}}};\n"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().rstrip("\n")


page, style, script = (read(path) for path in sys.argv[1:4])
digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
with open(sys.argv[4], "w", encoding="utf-8") as file:
    file.write('/* Made by harness/report/html/embed.py. */\n#include "report/html.h"\n\n')
    for part in (("sb_html_page", page), ("sb_html_style", style), ("sb_html_script", script)):
        file.write(literal(*part))
    file.write(f'const char sb_html_script_digest[] = "sha256-{digest}";\n')
