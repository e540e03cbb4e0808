"""The report: one page with plots, tables and pictures that needs nothing from elsewhere.

The tables are written here, the plots are drawn by `html/page.js` from the same numbers. Every name is escaped:
files and codecs may be called anything.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook import __version__
from farlook.benchmarks.page_data import Extras, page_data, set_name
from farlook.benchmarks.page_html import codec_row, counted, html_table, joined, signed, three_digits, times
from farlook.benchmarks.page_sections import how_section, latency_section, loss_section, pictures_section
from farlook.benchmarks.page_styles import label
from farlook.benchmarks.specs import our_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farlook.benchmarks.results import Metric, Results

    Json = dict[str, Any]

_HTML = Path(__file__).parent / "html"
_STRONG = 60
"""Per cent of BD-rate from which a table's cell is tinted no more."""

_BUSY = 1.6
"""Load average from which on a machine that times is told to be busy: the measurement alone is 1."""

_DECIBELS = "&minus;10&#8239;log&#8321;&#8320;(1&#8239;&minus;&#8239;x)"


def render(
    title: str, every: Sequence[Results], folders: Sequence[Path], extras: Extras, crop_rate: float = 0.15
) -> str:
    """The page as HTML.

    Args:
        title: Its heading.
        every: Sets of results; the first is shown first.
        folders: Where each is.
        extras: What else to show.
        crop_rate: See `page_data`.

    Raises:
        FarlookError: See `page_data`.
    """
    data = page_data(every, folders, extras, crop_rate)
    parts = {
        "title": escape(title),
        "lead": _lead(every),
        "summary": _summary(every),
        "set_choice": '<fieldset class="choice" id="set-choice"><legend>Pictures</legend></fieldset>'
        if len(every) > 1
        else "",
        "rate_panels": _panels(every, _rate_panel),
        "bd_panels": _panels(every, _bd_panel),
        "speed": _speed(every),
        "pictures": pictures_section(data),
        "latency": latency_section(data),
        "loss": loss_section(data),
        "how": how_section(every),
        "footer": f"Written by farlook {escape(__version__)}. This page loads nothing from elsewhere.",
        "data": _script_json(data),
        "css": _asset("page.css"),
        "js": _asset("page.js"),
    }
    # All at once: what is put in is not looked through for more.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return (_HTML / name).read_text(encoding="utf-8").rstrip("\n")


def _script_json(data: Json) -> str:
    """JSON that no script element ends in."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _lead(every: Sequence[Results]) -> str:
    codecs = list(dict.fromkeys(codec for results in every for codec in results.codecs))
    sets = [f"{len(results.pictures)} pictures of {set_name(results)}" for results in every]
    machine = every[0].setup["machine"]
    return escape(
        f"{counted(len(codecs), 'codec')} on {joined(sets)}. Rates are those of whole files, every header included; "
        f"measured by farlook bench on {machine['processor']}."
    )


def _summary(every: Sequence[Results]) -> str:
    """The first codec against every other, as bars, then by all figures of merit."""
    results = every[0]
    tested, metric = results.codecs[0], results.metrics[0]
    rows = []
    largest = max((abs(d[0]) for d in _found_deltas(results, tested, metric)), default=1.0)
    ours = results.speed(tested, "encode")
    for anchor in results.codecs[1:]:
        delta = results.delta(tested, anchor, metric)
        if delta is None:
            continue
        theirs = results.speed(anchor, "encode")
        speed = f"{times(ours.median / theirs.median)} as fast" if ours and theirs else ""
        if _encoder(anchor) == _encoder(tested):
            speed = "the same encoder"
        bar = f'<i style="--size: {abs(delta.rate) / largest:.3f}"></i>{signed(delta.rate, 0)}&#8239;%'
        kind = "bar" if delta.rate <= 0 else "bar more"
        rows.append(
            f'<tr><th scope="row">{escape(label(anchor))}</th>'
            f'<td class="track"><span class="{kind}">{bar}</span></td><td class="speed">{speed}</td></tr>'
        )
    if not rows:
        return ""
    name = escape(label(tested))
    head = (
        f'<thead><tr><th scope="col">against</th><th scope="col" class="track">bytes at equal {escape(metric.label)}'
        '</th><th scope="col" class="speed">encodes</th></tr></thead>'
    )
    return (
        f'<section id="summary" aria-labelledby="summary-title"><h2 id="summary-title">{name} beside the others</h2>'
        f"<p>{escape(set_name(results))}: by how much its files are smaller (&minus;) or larger (+) than another "
        f"codec's.</p>"
        f'<table class="bars">{head}<tbody>{"".join(rows)}</tbody></table>'
        f"{_by_every_metric(every, tested)}</section>"
    )


def _by_every_metric(every: Sequence[Results], tested: str) -> str:
    """A codec against every other by every figure of merit, with their containers and without: a table a set."""
    sets = [results for results in every if tested in results.codecs and len(results.metrics) > 1]
    if not sets:
        return ""
    tables = "".join(
        f"<h3>By every figure of merit: {escape(set_name(results))}</h3>{_merit_table(results, tested)}"
        for results in sets
    )
    sizes = {c: results.container(c) for results in sets for c in results.codecs}
    held = [f"{escape(label(codec))} {size:.0f}" for codec, size in sizes.items() if size]
    containers = (
        " Files count with their containers, as they are kept and sent: bytes of container a file are "
        f"{joined(held)}; the other codecs have none."
        if held
        else ""
    )
    return f'{tables}<p class="note">SSIM and MS-SSIM count as decibels, {_DECIBELS}.{containers}</p>'


def _merit_table(results: Results, tested: str) -> str:
    rows = []
    for anchor in results.codecs:
        if anchor == tested:
            continue
        for bare in (False, True) if results.container(anchor) else (False,):
            cells = [_bd_cell(results, tested, anchor, metric, bare=bare) for metric in results.metrics]
            rows.append(codec_row(anchor, cells, ", no container" if bare else ""))
    header = ["bytes, %, at equal", *(metric.label for metric in results.metrics)]
    return html_table(header, rows, "matrix merit")


def _encoder(spec: str) -> object:
    """What encodes: of farlook's codecs, which may have several decoders, the codec and its options."""
    ours = our_spec(spec)
    return spec if ours is None else ours.encoder


def _found_deltas(results: Results, tested: str, metric: Metric) -> list[tuple[float, int]]:
    found = (results.delta(tested, anchor, metric) for anchor in results.codecs if anchor != tested)
    return [(delta.rate, delta.pictures) for delta in found if delta]


def _panels(every: Sequence[Results], panel: Any) -> str:
    """A panel for each set and figure of merit, all but the first hidden."""
    parts: list[str] = []
    for results in every:
        for metric in results.metrics:
            shown = "" if not parts else " hidden"
            where = f'data-set="{escape(set_name(results))}" data-metric="{metric.key}"'
            title = f"{metric.label}, {set_name(results)}, {counted(len(results.pictures), 'picture')}"
            parts.append(
                f'<div class="panel" {where}{shown}><h3>{escape(title)}</h3>{panel(results, metric)}</div>'
            )
    return "\n".join(parts)


def _rate_panel(results: Results, metric: Metric) -> str:
    where = f'data-set="{escape(set_name(results))}" data-metric="{metric.key}"'
    unit = f", {metric.unit}" if metric.unit else ""
    return (
        f'<div class="plot" data-kind="rate" {where}></div>'
        f"<details><summary>The numbers</summary>{_rate_table(results, metric, unit)}</details>"
    )


def _rate_table(results: Results, metric: Metric, unit: str) -> str:
    digits = 4 if metric.similarity else 2
    header = [f"{metric.label}{unit}, at most", *(f"{rate:g} bpp" for rate in results.rates)]
    rows = []
    for codec in results.codecs:
        means = {point["rate"]: point for point in results.means(codec)}
        cells = [
            f"<td>{means[rate][metric.key]:.{digits}f} <small>{means[rate]['bpp']:.3f}</small></td>"
            if rate in means
            else f"<td><small>{len(results.at(codec, rate))} of {len(results.pictures)}</small></td>"
            for rate in results.rates
        ]
        rows.append(codec_row(codec, cells))
    note = (
        '<p class="note">Small: the mean rate of the files; or of how many pictures the codec has a file that '
        "small, where it is not all.</p>"
    )
    return html_table(header, rows) + note


def _bd_panel(results: Results, metric: Metric) -> str:
    rows = []
    for tested in results.codecs:
        cells = [_bd_cell(results, tested, anchor, metric) for anchor in results.codecs]
        rows.append(codec_row(tested, cells))
    return html_table(["", *(label(codec) for codec in results.codecs)], rows, "matrix")


def _bd_cell(results: Results, tested: str, anchor: str, metric: Metric, *, bare: bool = False) -> str:
    if tested == anchor:
        return '<td class="self">&middot;</td>'
    delta = results.delta(tested, anchor, metric, bare=bare)
    if delta is None:
        return "<td>&ndash;</td>"
    tone = "--better" if delta.rate < 0 else "--worse"
    alpha = 0.32 * min(abs(delta.rate) / _STRONG, 1)
    few = delta.pictures < len(results.pictures)
    count = f" <small>[{delta.pictures}]</small>" if few else ""
    unit = "dB" if metric.similarity or metric.unit == "dB" else ""
    title = f"over {delta.low:.2f} to {delta.high:.2f} {unit}, mean of {counted(delta.pictures, 'picture')}"
    return (
        f'<td class="tint" style="--tone: var({tone}); --alpha: {alpha:.2f}" title="{escape(title)}">'
        f"{signed(delta.rate, 1)}{count}</td>"
    )


def _speed(every: Sequence[Results]) -> str:
    timed = [results for results in every if any(results.timings.values())]
    if not timed:
        return ""

    def panel(results: Results, metric: Metric) -> str:
        where = f'data-set="{escape(set_name(results))}" data-metric="{metric.key}"'
        plots = "".join(
            f'<div class="plot" data-kind="speed" {where} data-what="{what}"></div>'
            for what in ("encode", "decode")
        )
        return f'<div class="pair">{plots}</div>'

    tables = "".join(f"<h3>{escape(set_name(results))}</h3>{_speed_table(results)}" for results in timed)
    when = "".join(f'<p class="note">{_when(results)}</p>' for results in timed)
    return f"""<section id="speed" aria-labelledby="speed-title">
<h2 id="speed-title">Speed against bytes at equal quality</h2>
<p>Megapixels a second on one core, on a logarithmic scale, against the bytes that the codec needs for the same
quality: the best place is down on the right. Marks are medians over all pictures, rates and repeats, lines reach
from quartile to quartile.</p>
<div class="pick"><label>Bytes against<select id="anchor"></select></label></div>
{_panels(timed, panel)}
{when}
<details><summary>The numbers</summary>{tables}</details>
</section>"""


def _when(results: Results) -> str:
    """When times were measured, and how busy the machine was."""
    timed = results.timed
    if timed is None:
        return ""
    first, last = (date.replace("T", " ").removesuffix("Z")[:16] for date in (timed.first, timed.last))
    span = first if first == last else f"{first} to {last[11:] if first[:10] == last[:10] else last}"
    load = (
        f"; load average {timed.low:.2f} to {timed.high:.2f}, median {timed.middle:.2f}, of which the measurement "
        "itself is 1"
        if timed.low is not None
        else ""
    )
    busy = (
        " The machine was busy with something else: these speeds are too low, and not those of one codec alone."
        if timed.middle is not None and timed.middle > _BUSY
        else ""
    )
    return escape(f"{set_name(results)}: timed {span} UTC{load}.{busy}")


def _speed_table(results: Results) -> str:
    header = ["Megapixels a second, one core", "encode", "quartiles", "decode", "quartiles"]
    rows = []
    for codec in results.codecs:
        cells = []
        for what in ("encode", "decode"):
            spread = results.speed(codec, what)
            cells += (
                [
                    f"<td>{three_digits(spread.median)}</td>",
                    f"<td>{three_digits(spread.low)} to {three_digits(spread.high)}</td>",
                ]
                if spread
                else ["<td>&ndash;</td>", "<td></td>"]
            )
        rows.append(codec_row(codec, cells))
    return html_table(header, rows)
