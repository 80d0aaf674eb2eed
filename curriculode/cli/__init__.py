"""The command line. One file a group of commands; each imports what it needs when it runs."""

import sys

import typer

from .streams import lasting


def main() -> None:
    """Run the command line: exit status 0 done, 1 a check failed, 2 bad input, 130 interrupted."""
    from curriculode.theory.core.errors import one_line

    with lasting() as out:
        status, sentence = _run()
        out.flush()
        if out.failure is not None and not sentence:
            reason = out.failure.strerror or out.failure
            status, sentence = 2, f"standard output could not be written ({reason}); files that were written are whole"
        if sentence:
            print(f"curriculode: {one_line(sentence)}", file=sys.stderr)
    raise SystemExit(status)


def _run() -> tuple[int, str]:
    """Exit status, and what to say of it on standard error."""
    from curriculode.theory.core.errors import InputError

    from .app import app

    command = typer.main.get_command(app)
    try:
        status = command.main(prog_name="curriculode", standalone_mode=False)
    except InputError as error:
        return 2, str(error)
    except (MemoryError, OverflowError) as error:
        return 2, f"the numbers given are too large for this machine ({error}); use smaller ones"
    except OSError as error:
        return 2, f"a file could not be written or read: {error}"
    except (KeyboardInterrupt, typer.Abort):
        return 130, "interrupted; nothing was finished"
    except Exception as error:
        # Typer's own complaints about options and arguments, whichever click it carries, know their sentence.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return 0, ""
        return 2, f"{' '.join(error.format_message().split()).rstrip('.')}; see curriculode --help"
    if status == 130:  # Ctrl-C: what was finished has been written and told on standard output
        return 130, "interrupted"
    return status if isinstance(status, int) else 0, ""
