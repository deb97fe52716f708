"""``python -m meanfield.symbolic`` prints the page ``docs/theory.md``."""

from meanfield.symbolic.page import render

if __name__ == "__main__":
    print(render(), end="")
