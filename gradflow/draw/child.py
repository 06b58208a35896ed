"""Run as a program: `child.py ENGINE SOURCE TARGET FORMAT DPI MEMORY`. Limits itself, then becomes `dot`, or draws with pygraphviz."""

import os
import sys


def main(engine: str, source: str, target: str, format: str, dpi: str, memory: str) -> None:
    """Draws the file `source` into the file `target`; an error shows as an exit code and a line on standard error."""
    _limit_memory(int(memory))
    scale = [f"-Gdpi={dpi}"] if format == "png" else []
    if engine != "pygraphviz":
        command = [engine, f"-T{format}", *scale, "-o", target, source]
        if os.name == "posix":
            os.execv(engine, command)
        # Where a process cannot become another one, it would end before its picture is there.
        import subprocess

        sys.exit(subprocess.run(command).returncode)
    import pygraphviz

    with open(source, encoding="utf-8") as file:
        graph = pygraphviz.AGraph(string=file.read())
    graph.draw(target, format=format, prog="dot", args=" ".join(scale))


def _limit_memory(limit: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits.
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    except (ValueError, OSError):  # macOS refuses limits below what is mapped already.
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
