"""One degree of difficulty: a name, a share of the examples, and the settings that its task knows."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.description import Description, unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.tasks.known import OTHER_LEVELS, TASKS

if TYPE_CHECKING:
    from curriculode.theory.tasks.task import Task


class Level(Description):
    """One degree of difficulty.

    In an experiment each level becomes one of the task's own kind (`task.level_type`).

    Parameters
    ----------
    name : str
        How it is called in tables and files: a letter and then letters, digits, - and _, 100 at most.
    share : float, optional
        Its share of the examples, in [0, 1]; one level of a protocol may leave it out and gets the rest.
    **settings : object
        Those of the task. XOR mixture: `noise`, the standard deviation of the clouds, >= 0, and `fading`, the gain of the
        centroids on the faded fraction of the inputs, >= 1; teacher-student: `irrelevant_variance` of the irrelevant
        inputs, >= 0; images: `pixel_noise`, >= 0, and `frame_scale`, in (0, 1].

    Raises
    ------
    InputError
        For settings that no task knows, or that none of those that know them allow.

    Examples
    --------
    >>> Level("easy", share=0.1, noise=0.2).settings
    {'noise': 0.2}
    """

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z][\w-]*$")]
    share: Annotated[float, Field(ge=0, le=1)] | None = None

    def __init__(self, /, name: str, **settings: Any) -> None:
        super().__init__(name=name, **settings)
        if type(self) is Level and self.settings:
            self._check_known()

    @property
    def settings(self) -> dict[str, Any]:
        """What the level sets of its task: everything but name and share."""
        return {key: value for key, value in self.model_dump(exclude_none=True).items() if key not in ("name", "share")}

    def _check_known(self) -> None:
        """Raise `InputError` for settings that no task knows, or that none of those that know them allow."""
        kinds = [*(task.level_type for task in TASKS.values()), *OTHER_LEVELS]
        fitting = [kind for kind in kinds if set(self.settings) <= set(kind.model_fields)]
        if not fitting:
            known = list(dict.fromkeys(name for kind in kinds for name in kind.model_fields if name not in ("name", "share")))
            if wrong := [name for name in self.settings if name not in known]:
                raise InputError(unknown("Level: setting", wrong[0], ["share", *known]))
            return  # the experiment knows its task, and says what that does not know
        mistake: InputError | None = None
        for kind in fitting:
            try:
                kind(self.name, **self.settings)
                return
            except InputError as error:
                mistake = mistake or error
        assert mistake is not None
        raise InputError(str(mistake).replace(fitting[0].__name__, "Level", 1))

    @checked(task=inside)
    def of(self, task: "Task | type[Task]", kind: str = "") -> "Level":
        """Return this level as one of the task's own kind.

        Parameters
        ----------
        task : Task or type
            The task, or its class.
        kind : str, optional
            What the task is called in messages, by default its own kind.

        Returns
        -------
        Level
            One of `task.level_type`.

        Raises
        ------
        InputError
            For settings that the task does not know.
        """
        own = getattr(task, "level_type", None)
        if not isinstance(own, type) or not issubclass(own, Level):
            raise InputError(f"task = {shown(task)} is not allowed; give a curriculode.Task, such as XorMixture()")
        if type(self) is own:
            return self
        allowed = [name for name in own.model_fields if name != "name"]
        for key in self.settings:
            if key not in allowed:
                raise InputError(
                    f"level {self.name!r} has {key!r}, which a {kind or task.kind} does not know; allowed: {', '.join(allowed)}"
                )
        return own(self.name, **({} if self.share is None else {"share": self.share}), **self.settings)
