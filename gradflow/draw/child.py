"""Run as a program: `child.py ENGINE FORMAT DPI MEMORY SOURCE ...`. Limits itself, then becomes `dot`, or draws with pygraphviz.

The picture of `a.dot` is written beside it, as `a.dot.svg`.
"""

import os
import sys


def main(engine: str, format: str, dpi: str, memory: str, *sources: str) -> None:
    """Draws each of `sources`; an error shows as an exit code and a line on standard error."""
    _limit_memory(int(memory))
    scale = [f"-Gdpi={dpi}"] if format == "png" else []
    if engine != "pygraphviz":
        command = [engine, f"-T{format}", *scale, "-O", *sources]
        if os.name == "posix":
            os.execv(engine, command)
        # Where a process cannot become another one, it would end before its pictures are there.
        import subprocess

        sys.exit(subprocess.run(command).returncode)
    import pygraphviz

    for source in sources:
        with open(source, encoding="utf-8") as file:
            graph = pygraphviz.AGraph(string=file.read())
        graph.draw(f"{source}.{format}", format=format, prog="dot", args=" ".join(scale))


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
