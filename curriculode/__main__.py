"""`python -m curriculode`."""

from curriculode.cli import main

if __name__ == "__main__":
    main()
