"""`saljax demo`: a first look, with nothing but what is bundled."""

from pathlib import Path

import click

from saljax.cli import options
from saljax.cli.console import command, echo, mistakes


@click.command()
@options.out("demo")
def demo(out: Path) -> None:
    """Explain generated birds with the bundled classifier."""
    from saljax.cli import demo_pictures
    from saljax.runs import store
    from saljax.runs.progress import progress

    with mistakes(), progress("explaining", 4) as advance:
        store.check_writable(out)
        echo(f"{demo_pictures.ABOUT}\n")
        for name, says, picture in demo_pictures.pages():
            store.write(out / f"{name}.png", picture)
            echo(f"{out / name}.png\n    {says}")
            advance()
        store.write(out / "bird.png", demo_pictures.bird())
    yours = command("explain", out / "bird.png", "--sigmas", "6,3,1.5", "--out", out / "mine")
    echo(f"\nYour turn: {yours}")
