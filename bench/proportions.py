"""Shares with their intervals, for the scripts of this folder."""

import math

Z_95 = 1.959963984540054


def wilson(successes, trials, z=Z_95):
    """The share with the ends of its Wilson interval, or None of no trials."""
    if trials == 0:
        return None
    share = successes / trials
    shrink = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrink
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / shrink
    # Of none and of all the ends are exact, which rounding would miss.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return share, low, high


def shown(successes, trials):
    found = wilson(successes, trials)
    return "none" if found is None else "{:.3f} ({:.3f} to {:.3f})".format(*found)


def percent(successes, trials):
    found = wilson(successes, trials)
    return "none" if found is None else "{:.1f} % ({:.1f} to {:.1f})".format(*(100 * x for x in found))
