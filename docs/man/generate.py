"""Makes what is installed beside the program out of the program's own help, so that none of it can say otherwise.

    generate.py PROGRAM man TEMPLATE    samebits(1) in Markdown: the template with every command's help in it
    generate.py PROGRAM suite DOCUMENT  samebits-suite(5) in Markdown: the document, which begins with a heading
    generate.py PROGRAM bash|zsh|fish   completion for that shell
"""
import re
import subprocess
import sys

# What completes a value, by the last word of an option's name; of the others nothing is known.
LISTED = {"vary": "axes", "report": "reports", "launcher": "launchers"}
FILES = {"out", "baseline", "file", "html", "report"}
CHOICES = {"require": "bitwise rounding", "design": "full one-at-a-time pairwise", "digest": "xxh3 sha256",
           "isolate": "auto overlay copy inplace", "match-by": "name order", "stop-after": "first-divergence"}
WORDS = {"list": "kernels backends axes formats reports launchers", "baseline": "save check"}


def help_of(program, *command):
    return subprocess.run([program, *command, "--help"], check=True, capture_output=True, text=True,
                          env={"LC_ALL": "C.UTF-8"}).stdout


def commands(program):
    """(name, summary) of each."""
    return re.findall(r"(?m)^  ([a-z][a-z-]*) +(\S.*)$", help_of(program).split("\n\n")[2])


def options(text):
    """(long names, letters, takes a value) of a help text's options; several may share a line."""
    found = []
    for line in text.splitlines():
        match = re.match(r"^ {2,6}(?=-)(.*?)(?:  +|$)", line)
        left = line[:37] if match else ""
        for letter, name, value in re.findall(r"(?:-(\w), )?--([a-z][a-z-]*)(?:\[?[ =]?([^-,\s][^,]*))?", left):
            found.append((name, letter, bool(value.strip())))
    return [*found, ("help", "h", False)]


def manual(program, template):
    with open(template, encoding="utf-8") as file:
        text = file.read()
    parts = []
    for name, summary in commands(program):
        shown = "".join(f"    {line}\n" for line in help_of(program, name).splitlines())
        parts.append(f"## samebits {name}\n\n{summary[0].upper()}{summary[1:]}.\n\n{shown}")
    return text.replace("@COMMANDS@", "\n".join(parts).rstrip())


def bash(program):
    cases = []
    for name, _ in commands(program):
        known = options(help_of(program, name))
        names = " ".join(f"--{option}" for option, _, _ in known)
        values = "".join(f"            --{option}{f'|-{letter}' if letter else ''}) {bash_value(option)} ;;\n"
                         for option, letter, takes in known if takes)
        words = f"compgen -W '{WORDS[name]}' -- \"$word\"" if name in WORDS else 'compgen -f -- "$word"'
        cases.append(f"""    {name})
        case $before in
{values}            *) case $word in
                -*) COMPREPLY=($(compgen -W '{names}' -- "$word")) ;;
                *) COMPREPLY=($({words})) ;;
            esac ;;
        esac ;;
""")
    names = " ".join(name for name, _ in commands(program))
    return f"""# bash completion for samebits, made by docs/man/generate.py
_samebits() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [ "${{COMP_WORDS[i]}}" = -- ]; then # the job's own command
            COMPREPLY=($(compgen -f -- "$word"))
            return
        fi
    done
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{names} --help --version' -- "$word"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{"".join(cases)}    esac
}}
complete -o filenames -F _samebits samebits
"""


def bash_value(option):
    if option in LISTED:
        return (f"COMPREPLY=($(compgen -W \"$(samebits list {LISTED[option]} 2>/dev/null | awk 'NR > 1 && $1 {{print $1}}')\" "
                "-- \"$word\"))")
    if option in CHOICES:
        return f"COMPREPLY=($(compgen -W '{CHOICES[option]}' -- \"$word\"))"
    return 'COMPREPLY=($(compgen -f -- "$word"))' if option in FILES else ":"


def zsh_value(option):
    if option in LISTED:
        return f":{option}:_samebits_listed {LISTED[option]}"
    if option in CHOICES:
        return f":{option}:({CHOICES[option]})"
    return f":{option}:_files" if option in FILES else f":{option}:"


def zsh(program):
    cases = []
    for name, _ in commands(program):
        lines = []
        for option, letter, takes in options(help_of(program, name)):
            value = zsh_value(option) if takes else ""
            lines.append(f"'--{option}{'=' if takes else ''}[]{value}'")
            if letter:
                lines.append(f"'-{letter}[]{value}'")
        rest = f"'*:word:({WORDS[name]})'" if name in WORDS else "'*:file:_files'"
        cases.append(f"        {name}) _arguments -s {' '.join(lines)} {rest} ;;\n")
    described = " ".join(f"'{name}:{summary}'" for name, summary in ((name, summary.replace("'", "'\\''"))
                                                                      for name, summary in commands(program)))
    return f"""#compdef samebits
# zsh completion for samebits, made by docs/man/generate.py
_samebits_listed() {{
    local -a names
    names=(${{(f)"$(samebits list $1 2>/dev/null | awk 'NR > 1 && $1 {{print $1}}')"}})
    compadd -S '' -a names
}}
_samebits() {{
    local -a names
    names=({described})
    if (( CURRENT == 2 )); then
        _describe command names
        return
    fi
    local command=$words[2]
    if (( ${{words[(i)--]}} < CURRENT )); then # the job's own command
        _files
        return
    fi
    shift words
    (( CURRENT-- ))
    case $command in
{"".join(cases)}    esac
}}
if [ "$funcstack[1]" = _samebits ]; then _samebits "$@"; else compdef _samebits samebits; fi
"""


def fish(program):
    def quoted(text):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = ["# fish completion for samebits, made by docs/man/generate.py",
             "complete -c samebits -n __fish_use_subcommand -l version -l help"]
    for name, summary in commands(program):
        lines.append(f"complete -c samebits -f -n __fish_use_subcommand -a {name} -d {quoted(summary)}")
        here = f"-n '__fish_seen_subcommand_from {name}'"
        for option, letter, takes in options(help_of(program, name)):
            value = ""
            if takes and option in LISTED:
                value = f" -x -a '(samebits list {LISTED[option]} 2>/dev/null | awk \"NR > 1 && \\$1 {{print \\$1}}\")'"
            elif takes and option in CHOICES:
                value = f" -x -a {quoted(CHOICES[option])}"
            elif takes:
                value = " -r" if option in FILES else " -x"
            lines.append(f"complete -c samebits {here} -l {option}{f' -s {letter}' if letter else ''}{value}")
        if name in WORDS:
            lines.append(f"complete -c samebits {here} -f -a {quoted(WORDS[name])}")
    return "\n".join(lines) + "\n"


def suite(document):
    with open(document, encoding="utf-8") as file:
        text = file.read()
    return "# NAME\n\nsamebits-suite - what samebits(1) runs\n\n# DESCRIPTION\n" + text.split("\n", 1)[1]


if __name__ == "__main__":
    if sys.argv[2] == "man":
        sys.stdout.write(manual(sys.argv[1], sys.argv[3]))
    elif sys.argv[2] == "suite":
        sys.stdout.write(suite(sys.argv[3]))
    else:
        sys.stdout.write({"bash": bash, "zsh": zsh, "fish": fish}[sys.argv[2]](sys.argv[1]))
