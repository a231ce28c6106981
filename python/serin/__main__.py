"""`python -m serin ARGS`: the binary, also where its folder is not in `PATH`."""

from ._binary import main

main()
