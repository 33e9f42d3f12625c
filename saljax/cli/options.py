"""Options that commands share, and those that are not written down but read from a method."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from saljax.cli.kinds import File as File
from saljax.cli.kinds import FromText, Range, Shape
from saljax.cli.kinds import Sigmas as Sigmas


class WithRead(click.Command):
    """A command that has options read from functions, listed apart under a title."""

    def read(self, ctx: click.Context, title: str, functions: Sequence[Callable]) -> None:
        """Add the hyperparameters of functions, before the command line is parsed."""
        ctx.meta["read"] = [option for function in functions for option in _options(function)]
        ctx.meta["title"] = title

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of the command and those that were read."""
        return [*super().get_params(ctx), *ctx.meta.get("read", [])]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Two lists."""
        rest = [p for p in super().get_params(ctx) if isinstance(p, click.Option)]
        for title, options in [("Options", rest), (ctx.meta["title"], ctx.meta["read"])]:
            if not options:
                continue
            records = [option.get_help_record(ctx) for option in options]
            with formatter.section(title):
                formatter.write_dl([record for record in records if record])


class OfMethod(WithRead):
    """A command with --method: the hyperparameters of the one asked for are options too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look for --method first: it decides which other options there are."""
        from saljax.runs import methods

        given = [*_peek(args, "--method"), *_peek(args, "--methods")]
        names = [part for text in given for part in text.split(",")]
        try:
            if not names:
                model = ["", *_peek(args, "--model")][-1]
                names = [] if model and not any(_peek(args, "--sigmas")) else ["glas"]
                names = names or list(methods.default(model))
            kinds = [name.partition("=")[2] or name for name in names]
            functions = [methods.known(kinds[0]).function] if len(kinds) == 1 else []
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        ctx.meta["asked"] = names
        self.read(ctx, f"Options of {names[0]}", functions)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if hint := _for_one(
                error.option_name,
                {n.partition("=")[0]: k for n, k in zip(names, kinds, strict=True)},
            ):
                raise click.UsageError(hint, ctx) from None
            raise


class InOrder(click.Group):
    """Commands are listed in the order of this file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The order of definition, not of the alphabet."""
        return list(self.commands)


def model(default: str | None = None) -> Callable:
    """The option --model; required where there is no default."""
    return click.option(
        "--model",
        default=default,
        show_default=True,
        required=default is None,
        help="See `saljax models`. Or the folder of `saljax train classifier`. Or your own: "
        "FILE.py:NAME or PACKAGE.MODULE:NAME, a function of images (N, height, width, 3) that "
        "gives logits (N, K), or one of nothing that makes it.",
    )


def own(command: Callable) -> Callable:
    """The options --input-size and --labels, of models that saljax does not know."""
    for option in (_labels, _input_size):
        command = option(command)
    return command


_input_size = click.option(
    "--input-size",
    type=Shape(),
    help="Of images for a model of your own: 224 for pictures of 224 x 224 x 3, or all axes.",
)
_labels = click.option(
    "--labels",
    metavar="FILE",
    type=File(),
    help="Names of the classes, one a line.  [default: those of the model, or numbers]",
)
precision = click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="In which the model computes; maps are in float32. On GPU and TPU bfloat16 is faster.",
)
weights = click.option(
    "--weights",
    metavar="FILE",
    type=File(),
    help="Weights of the model: a file, or the name of published ones, fetched once.",
)
seed = click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**31 - 1),
    help="Of methods that draw at random.",
)
batch_size = click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Images in one call; memory grows with it.  [default: number of devices]",
)


values = click.option(
    "--range",
    "values",
    type=Range(),
    help="Black and white in pictures of more than 8 bits, and in .npy files, such as 0,4095.  "
    "[default: those of the file, or what its values suggest]",
)


def framing(command: Callable) -> Callable:
    """The options --crop and --short-side."""
    for option in (_short_side, _crop):
        command = option(command)
    return command


_crop = click.option(
    "--crop",
    type=click.Choice(["center", "none", "letterbox"]),
    help="How a picture is brought to the size that the model takes: the middle cut out, all of it "
    "squeezed, or all of it with black beside it.  [default: as the model was trained]",
)
_short_side = click.option(
    "--short-side",
    type=click.IntRange(min=1),
    help="Pixels of the short side before the middle is cut out.  [default: as it was trained]",
)


def drawing(command: Callable) -> Callable:
    """The options of pictures: --format, --dpi, --colormap and --only."""
    for option in (_only, _colormap, _dpi, _format):
        command = option(command)
    return command


_format = click.option(
    "--format",
    "ending",
    type=click.Choice(["png", "pdf", "svg"]),
    help="Of pictures.  [default: png]",
)
_dpi = click.option(
    "--dpi",
    type=click.IntRange(20, 1200),
    help="Pixels an inch in pictures.  [default: 144]",
)
_colormap = click.option(
    "--colormap",
    metavar="NAME",
    help="Colors of matplotlib for maps; those around a middle, such as coolwarm, are for signed "
    "maps, the others for the rest.  [default: inferno, and RdBu_r]",
)
_only = click.option(
    "--only",
    type=click.Choice(["map", "overlay"]),
    help="Draw only this, not the picture beside it.",
)


def out(default: str) -> Callable:
    """The option --out."""
    return click.option(
        "--out",
        default=default,
        show_default=True,
        metavar="DIR",
        type=File(),
        help="Where to write.",
    )


def _for_one(flag: str, kinds: Mapping[str, str]) -> str:
    """Where an option goes that is a hyperparameter of one of several methods; "" if it is none."""
    from saljax.runs import methods
    from saljax.runs.hyperparameters import hyperparameters

    name = flag.lstrip("-").replace("-", "_")
    for row, kind in kinds.items() if len(kinds) > 1 else ():
        if name in [h.name for h in hyperparameters(methods.known(kind).function)]:
            return f"{flag} is for one of several methods: --set {row}.{name}=..."
    return ""


def _peek(args: Sequence[str], option: str) -> Iterator[str]:
    """The values of an option before the command line is parsed."""
    for arg, following in itertools.pairwise([*args, None]):
        if arg == option and following is not None:  # click says what is missing
            yield following
        elif arg and arg.startswith(f"{option}="):
            yield arg.partition("=")[2]


def _options(method: Callable) -> list[click.Option]:
    """A method's hyperparameters as options."""
    from saljax.runs.hyperparameters import REQUIRED, SIMPLE, hyperparameters, recorded

    options = []
    for h in hyperparameters(method):
        flag = "--" + h.name.replace("_", "-")
        required = h.default is REQUIRED
        is_text = h.default is None or isinstance(h.default, (*SIMPLE, tuple))
        options.append(
            click.Option(
                [f"{flag}/--no-{flag[2:]}" if h.kind is bool else flag, h.name],
                type=_type(h),
                default=h.default if is_text else None,  # click would call a function
                required=required,
                show_default=True if is_text or required else recorded(h.default),
                help=h.description,
            )
        )
    return options


def _type(h: Any) -> Any:
    if h.several:
        return FromText(h)
    return click.Choice(h.choices) if h.choices else h.kind
