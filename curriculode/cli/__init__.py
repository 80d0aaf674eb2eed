"""The command line. One file a group of commands; each imports what it needs when it runs."""

import sys

import typer


def main() -> None:
    """Run the command line: exit status 0 done, 1 a check failed, 2 bad input, 130 interrupted."""
    from curriculode.theory.core.errors import InputError

    from .app import app

    command = typer.main.get_command(app)
    try:
        status = command.main(prog_name="curriculode", standalone_mode=False)
    except InputError as error:
        print(f"curriculode: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except (MemoryError, OverflowError) as error:
        print(f"curriculode: the numbers given are too large for this machine ({error}); use smaller ones", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        print(f"curriculode: a file could not be written or read: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except Exception as error:
        # Typer's own complaints about options and arguments, whichever click it carries, know their sentence.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            raise SystemExit(0) from None
        print(f"curriculode: {error.format_message()}; see curriculode --help", file=sys.stderr)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, typer.Abort):
        print("curriculode: interrupted; nothing was finished", file=sys.stderr)
        raise SystemExit(130) from None
    if status == 130:  # Ctrl-C: what was finished has been written and told on standard output
        print("curriculode: interrupted", file=sys.stderr)
    raise SystemExit(status if isinstance(status, int) else 0)
