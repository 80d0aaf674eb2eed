"""The page to play with: a chart with sliders, drawn in the reader's browser from docs/explore/curves.csv, without a server."""

from pathlib import Path
from typing import Any

FILE = "sliders.html"
STYLE = """
body { font: 14px sans-serif; }
.vega-embed { display: block !important; padding: 0 !important; }
.vega-bind-name { display: inline-block; width: 16em; }
"""


def chart(table: Any) -> Any:
    """Learning curves of both orders at a width, and the gap at the end of all widths, where the sliders are."""
    import altair as alt

    from curriculode.figures.plots.style import ORDER_COLOURS

    def slider(name: str, label: str, values: Any, first: float) -> Any:
        step = round(float(values[1] - values[0]), 6)
        bound = alt.binding_range(min=float(values[0]), max=float(values[-1]), step=step, name=f"{label}  ")
        return alt.param(name=name, value=first, bind=bound)

    alt.data_transformers.disable_max_rows()
    noises, shares, widths = (sorted(table[name].unique()) for name in ("noise", "share", "width"))
    noise = slider("noise", "noise of the hard examples", noises, 0.5)
    share = slider("share", "share of the easy examples", shares, shares[0])
    power = alt.param(
        name="power", value=2, bind=alt.binding_range(min=1, max=len(widths), step=1, name="width: 2 to the power of  ")
    )
    here = alt.Chart(table).transform_filter("abs(datum.noise - noise) < 1e-6 && abs(datum.share - share) < 1e-6")
    colour = alt.Color(
        "order:N",
        legend=alt.Legend(orient="bottom", title=None),
        scale=alt.Scale(domain=list(ORDER_COLOURS)[:2], range=list(ORDER_COLOURS.values())[:2]),
    )
    curves = here.transform_filter("datum.width == pow(2, power)").transform_calculate(
        low="datum.accuracy - 2 * datum.error", high="datum.accuracy + 2 * datum.error"
    )
    t = alt.X("t:Q", title="t: examples per input")
    accuracy = alt.Scale(domain=[0.45, 1.0])
    band = curves.mark_area(opacity=0.2).encode(
        t, alt.Y("low:Q", scale=accuracy, title="accuracy on hard examples"), alt.Y2("high:Q"), colour
    )
    line = curves.mark_line().encode(t, alt.Y("accuracy:Q", scale=accuracy), colour, tooltip=["order", "t", "accuracy", "error"])
    ends = (
        here.transform_filter(f"datum.t > {float(table['t'].max()) - 1e-6} && datum.order == 'curriculum'")
        .transform_calculate(low="datum.gap - 2 * datum.gap_error", high="datum.gap + 2 * datum.gap_error")
        .properties(width=190, height=280, title="what the curriculum gains in the end")
    )
    K = alt.X(
        "width:Q",
        scale=alt.Scale(type="log", base=2, padding=12),
        axis=alt.Axis(values=[int(width) for width in widths]),
        title="width K",
    )
    span = alt.Scale(domain=[-0.05, 0.15])
    bars = ends.mark_rule(color="#0072B2", clip=True).encode(K, alt.Y("low:Q", scale=span, title="gap"), alt.Y2("high:Q"))
    dots = ends.mark_line(color="#0072B2", clip=True, point=alt.OverlayMarkDef(color="#0072B2")).encode(
        K, alt.Y("gap:Q", scale=span), tooltip=["width", "gap", "gap_error"]
    )
    chosen = (
        ends.transform_filter("datum.width == pow(2, power)")
        .mark_point(size=200, color="#D55E00", clip=True)
        .encode(K, alt.Y("gap:Q", scale=span))
    )
    zero = alt.Chart().mark_rule(color="#999999", strokeDash=[4, 4]).encode(y=alt.datum(0.0))
    left = (band + line).properties(width=310, height=280, title="learning curves at the chosen width")
    return alt.hconcat(left, bars + dots + chosen + zero).add_params(power, noise, share)


def write(app: Any, config: Any) -> None:
    """The chart as one file, JavaScript included."""
    import pandas as pd

    folder = Path(app.srcdir) / "_build" / "static"
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.read_csv(Path(app.srcdir) / "explore" / "curves.csv")
    text = chart(table).to_html(inline=True, embed_options={"actions": False})
    (folder / FILE).write_text(
        text.replace("<head>", f"<head><title>Learning curves</title><style>{STYLE}</style>", 1), encoding="utf-8"
    )
    config.html_static_path.append("_build/static")


def setup(app: Any) -> dict[str, Any]:
    """Write the chart before the static files are looked up."""
    app.connect("config-inited", write, priority=100)
    return {"version": "1", "parallel_read_safe": True}
