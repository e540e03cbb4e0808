"""Sections of the report's page that are there only if something was measured, and how everything was."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from farlook.benchmarks.page_data import set_name
from farlook.benchmarks.page_html import counted, html_table, joined, three_digits
from farlook.benchmarks.page_styles import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farlook.benchmarks.results import Results

    Json = dict[str, Any]


def pictures_section(data: Json) -> str:
    """Before and after, with a slider; nothing if there are no pictures."""
    if not data["crops"]:
        return ""
    rates = {crop["rate"] for crop in data["crops"]}
    rate = joined([f"{rate:g}" for rate in sorted(rates)])
    return f"""<section id="pictures" aria-labelledby="pictures-title">
<h2 id="pictures-title">Before and after, at equal bytes</h2>
<p>Each codec's largest file within {rate} bits a pixel. Shown is the part of the picture with the most detail, chosen
by the original alone, without further loss; the figures are of the whole picture.</p>
<div class="pick"><label>Picture<select id="picture"></select></label><label>Left<select id="left"></select></label>
<label>Right<select id="right"></select></label></div>
<figure class="figure">
<div class="stage" id="stage"><img class="before" alt=""><img class="after" alt="">
<input type="range" min="0" max="100" value="50" step="1" aria-label="How much of the left picture is shown">
<div class="divider" aria-hidden="true"></div></div>
<figcaption class="captions"><span id="left-caption"></span><span id="right-caption"></span></figcaption>
</figure>
</section>"""


def latency_section(data: Json) -> str:
    """Latency, if profiles are given."""
    if not data["latency"]:
        return ""
    parts = []
    for number, profile in enumerate(data["latency"]):
        title = ", ".join(
            str(profile[key]) for key in ("codec", "size", "bands", "backend", "machine") if profile[key]
        )
        parts.append(
            f'<figure class="figure"><h3>{escape(title)}</h3>'
            f'<div class="plot" data-kind="latency" data-number="{number}"></div>'
            f"<details><summary>The numbers</summary>{_latency_table(profile)}</details></figure>"
        )
    return f"""<section id="latency" aria-labelledby="latency-title">
<h2 id="latency-title">Latency</h2>
<p>Where a frame's time goes, by farlook profile: bars are means of the stages, the lines below them reach from the
median of the whole call to its 99th percentile.</p>
{"".join(parts)}
</section>"""


def _latency_table(profile: Json) -> str:
    rows = []
    for phase in profile["phases"]:
        whole, frames = phase["whole"], phase["frames"]
        first = [f"<td>{three_digits(whole[key])}</td>" for key in ("mean", "p50", "p99")]
        rows.append(
            f'<tr><th scope="row">{escape(phase["direction"])}, {frames} frames</th>{"".join(first)}</tr>'
        )
        rows += [
            f'<tr><th scope="row">&emsp;{escape(name)}</th><td>{three_digits(mean)}</td><td></td><td></td></tr>'
            for name, mean in phase["stages"].items()
        ]
    return html_table(["milliseconds a frame", "mean", "median", "99th percentile"], rows)


def loss_section(data: Json) -> str:
    """Packet loss, if it was measured."""
    if not data["loss"]:
        return ""
    plots = "".join(
        f'<figure class="figure"><h3>{escape(panel)}</h3><div class="plot" data-kind="loss" '
        f'data-number="{number}" data-panel="{escape(panel)}"></div></figure>'
        for number, found in enumerate(data["loss"])
        for panel in found["panels"]
    )
    return f"""<section id="loss" aria-labelledby="loss-title">
<h2 id="loss-title">Packet loss</h2>
<p>Mean quality by the share of packets that is lost, each by itself, or in bursts (dashed).</p>
<div class="pair">{plots}</div>
</section>"""


def how_section(every: Sequence[Results]) -> str:
    """How everything was measured."""
    described = {
        codec: each["description"] for results in every for codec, each in results.setup["codecs"].items()
    }
    codecs = "".join(f"<dt>{escape(label(c))}</dt><dd>{escape(text)}</dd>" for c, text in described.items())
    setup = every[0].setup
    versions = ", ".join(
        f"{name} {value}" for name, value in setup["versions"].items() if value != "not installed"
    )
    machine = setup["machine"]
    repeats = counted(setup["repeats"], "run")
    sets = "".join(
        f"<dt>{escape(set_name(results))}</dt><dd>{escape(', '.join(results.pictures))}</dd>"
        for results in every
    )
    return f"""<section id="how" aria-labelledby="how-title">
<h2 id="how-title">How this was measured</h2>
<p>At every rate, each codec's quality was searched for the largest file that is not larger, picture by picture; the
figures are of what these files decode to. Where a codec has no file so small, its curve begins with its smallest.
Twice the highest rate was measured too: a weaker codec's curve needs it to reach the quality that a stronger one has
at the highest rate.</p>
<p>PSNR of RGB is over all samples of a picture, then averaged over pictures; that of luma is of pillow's mode "L".
SSIM (Wang, Bovik, Sheikh and Simoncelli 2004) and MS-SSIM (Wang, Simoncelli and Bovik 2003) are of the luma, MS-SSIM
of RGB the mean of the three bands'. Delta rates integrate the logarithm of the rate, interpolated by PCHIP, over the
quality that the codec has between the lowest and the highest rate, as far as the other has it too; similarities count
as decibels, &minus;10&#8239;log&#8321;&#8320;(1&#8239;&minus;&#8239;x), and less than a quarter of a unit in
common counts as none.</p>
<p>Speeds are those of bare encode and decode calls at the settings found before, from memory to memory, by one process
on one core while nothing else was measured: {repeats} of each in turn, after one that does not count. Codecs that are
programs of their own (mozjpeg) count with the time to start them. Files of farlook's that no quality gives again,
because rate control used two steps or one coarser than quality 1, are timed with rate control.</p>
<p>Rates count whole files. AVIF's and WebP's are in their containers (ISO base media boxes, RIFF), as they are kept and
sent; JPEG 2000, HTJ2K and JPEG XL are raw codestreams, the first two without comments. Bytes without containers are
those of the VP8 chunk and of the mdat box; they are in per-image.csv, too.</p>
<dl>{codecs}
<dt>Machine</dt><dd>{escape(f"{machine['processor']}, {machine['cores']} cores, {machine['system']}")}</dd>
<dt>Versions</dt><dd>{escape(versions)}</dd>
{sets}</dl>
</section>"""
