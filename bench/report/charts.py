"""Two plots as SVG in the page itself: what is wrong by what is answered, and gains."""

import html
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from proportions import wilson  # noqa: E402


def text(x, y, words, anchor="middle", size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{html.escape(words)}</text>'


def curve(scores, bound=None):
    """Share of wrong answers among those given, by the share of questions answered."""
    ranked = sorted(scores, key=lambda pair: -pair[0])
    points, wrong = [], 0
    for number, (score, is_wrong) in enumerate(ranked, 1):
        wrong += bool(is_wrong)
        # Equal scores pass a threshold together.
        if number == len(ranked) or ranked[number][0] != score:
            points.append((number / len(ranked), *wilson(wrong, number)))
    width, height, left, right, low, high = 720, 330, 56, 28, 280, 30
    top = min(1.0, max(0.2, 1.15 * max(share for _, share, _, _ in points), 1.25 * (bound or 0)))
    x = lambda share: left + share * (width - left - right)
    y = lambda share: low - min(share, top) / top * (low - high)
    area = [f"{x(s):.1f},{y(upper):.1f}" for s, _, _, upper in points]
    area += [f"{x(s):.1f},{y(lower):.1f}" for s, _, lower, _ in reversed(points)]
    line = " ".join(f"{x(s):.1f},{y(share):.1f}" for s, share, _, _ in points)
    marks = ""
    for step in range(5):
        share = step / 4
        marks += text(x(share), low + 18, f"{round(100 * share)} %")
        marks += f'<line x1="{left}" x2="{width - right}" y1="{y(top * share):.1f}" y2="{y(top * share):.1f}" class="grid"/>'
        marks += text(left - 8, y(top * share) + 4, f"{100 * top * share:.0f} %", "end")
    if bound is not None:
        marks += f'<line x1="{left}" x2="{width - right}" y1="{y(bound):.1f}" y2="{y(bound):.1f}" class="bound"/>'
        marks += text(width - right, y(bound) - 6, f"bound {100 * bound:g} %", "end")
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="share of wrong answers by the share of questions answered">'
        f'{marks}<polygon points="{" ".join(area)}" class="band"/><polyline points="{line}" class="curve"/>'
        + text((left + width) / 2, height - 8, "share of questions answered, best supported first")
        + text(14, 12, "wrong among the answered", "start")
        + "</svg>"
    )


def gains(steps):
    """Difference of each step from the best single leg, with its interval."""
    shown = [(of["step"], of["over_best_leg"]) for of in steps if of["over_best_leg"]]
    if not shown:
        return ""
    ends = [end for _, of in shown for end in of["interval_95"]]
    reach = max(0.02, 1.1 * max(abs(end) for end in ends))
    width, row, left, right = 720, 28, 190, 120
    height = row * len(shown) + 30
    x = lambda value: left + (value + reach) / (2 * reach) * (width - left - right)
    body = f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="4" y2="{height - 24}" class="bound"/>'
    for number, (name, of) in enumerate(shown):
        y = row * number + 18
        low, high = of["interval_95"]
        body += text(left - 10, y + 4, name, "end")
        body += f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y}" y2="{y}" class="whisker"/>'
        body += f'<circle cx="{x(of["difference"]):.1f}" cy="{y}" r="4" class="dot"/>'
        body += text(width - right + 10, y + 4, f"{of['difference']:+.4f}", "start")
    body += text(x(0), height - 6, "nDCG@10 beside the best single leg")
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="gain of each step over the best single leg">{body}</svg>'
