"""Experiment files from the ASOS Digital Experiments Dataset, and a summary of their replay.

    python asos.py files DATA.csv FOLDER      one experiment file per treatment arm
    verdictd replay FOLDER --config verdictd.toml --set sources.asos.csv.folder=DIR --to 2020-05-15 --all --json
    python asos.py summary REPLAY.jsonl       effects found per metric; flagged, then not

The data set publishes, per arm, metric and checkpoint, how many users there were so far and the
mean and variance of the metric over them. Nothing but the standard library is used.
"""

import collections
import csv
import datetime
import json
import sys

ORIGIN = datetime.date(2020, 1, 1)
METRICS = ["1", "2", "3", "4"]

FILE = """\
# Written by asos.py: arm {variant} of experiment {experiment}. All four metrics should rise by 1 %.
experiment: asos-{experiment}-{variant}
title: Arm {variant} of experiment {experiment}
owner: {{name: Analyst, contact: analyst}}
can_stop: [analyst]
aim: {{signal: m4, behaviour: customers do more of it, from: {m4}, to: {target}, by: {last}}}
mechanism:
  we_believe: the treatment of arm {variant}
  will_move: m4
  because: the data set does not say why
reversible: yes
if_it_works: the treatment becomes the default
compare: {{design: arms, control: c, treatment: t}}
start: {start}
plan: {{units_per_week: {weekly}}}
signals:
{signals}checkpoint:
  at: {last}
  cycles: 1
  look_every: 12h
  continue_when: m1 >= +1% and m2 >= +1% and m3 >= +1% and m4 >= +1%
guardrails:
  no_collapse: {{no_worse_than: {{margin: {half}, signal: m1}}, on_trip: alert}}
rollback: {{plan: turn the treatment off}}
review: {{every: 7d, minutes: 15}}
notify: [analyst]
"""

# A harm margin of all there is: nothing ends early, every checkpoint of the history is looked at.
SIGNAL = """\
  m{metric}:
    role: {role}
    form: mean
    want: up
    unit: each
    from: {mean}
    harm_margin: {mean}
    matures_after: 0d
    grain: 12h
    source: asos
    query:
      file: {file}
      cumulative: yes
      columns:
        time: time_since_start
        n: "count_{{arm}}"
        mean: "mean_{{arm}}"
        variance: "variance_{{arm}}"
      only: {{experiment_id: "{experiment}", variant_id: "{variant}", metric_id: "{metric}"}}
"""


def number(value):
    """A plain decimal of four significant digits."""
    return f"{float(f'{value:.4g}'):f}".rstrip("0").rstrip(".")


def write_files(data, folder):
    """One file per arm. `from` is the control's last mean: a planning number, told afterwards."""
    last = {}
    with open(data, newline="", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            last[row["experiment_id"], row["variant_id"], row["metric_id"]] = row
    arms = sorted({key[:2] for key in last})
    name = data.replace("\\", "/").rsplit("/", 1)[-1]
    for experiment, variant in arms:
        rows = {metric: last[experiment, variant, metric] for metric in METRICS}
        days = max(float(row["time_since_start"]) for row in rows.values())
        means = {metric: number(float(row["mean_c"])) for metric, row in rows.items()}
        signals = "".join(
            SIGNAL.format(
                metric=metric,
                role="proxy" if metric == "1" else "outcome",
                mean=means[metric],
                file=name,
                experiment=experiment,
                variant=variant,
            )
            for metric in METRICS
        )
        units = float(rows["1"]["count_c"]) + float(rows["1"]["count_t"])
        text = FILE.format(
            experiment=experiment,
            variant=variant,
            m4=means["4"],
            target=number(1.01 * float(rows["4"]["mean_c"])),
            half=number(0.5 * float(rows["1"]["mean_c"])),
            start=ORIGIN,
            # `at: D` is the end of D.
            last=ORIGIN + datetime.timedelta(days=max(1, -int(-days // 1)) - 1),
            weekly=max(1, round(7 * units / days)),
            signals=signals,
        )
        path = f"{folder}/asos-{experiment}-{variant}.yaml"
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
    print(f"{len(arms)} experiment files in {folder}")


def summary(lines):
    """What the always-valid interval of each metric said at each look."""
    looks = collections.defaultdict(list)
    for line in lines:
        entry = json.loads(line)
        if entry["type"] != "look":
            continue
        for signal in entry["signals"]:
            if signal["interval"] is not None and signal["state"] not in ("no_data", "invalid"):
                # An end that is open is null.
                low, high = signal["interval"]
                excludes = (low is not None and low > 0) or (high is not None and high < 0)
                looks[entry["experiment"], signal["signal"]].append((entry["at"], excludes))
    arms = {arm for arm, _ in looks}
    print(f"{len(arms)} arms, {sum(map(len, looks.values()))} looks at a metric")
    for metric in sorted({metric for _, metric in looks}):
        series = {arm: looks[arm, metric] for arm in arms if (arm, metric) in looks}
        ever = {arm for arm, seen in series.items() if any(flag for _, flag in seen)}
        end = {arm for arm, seen in series.items() if seen[-1][1]}
        share = len(ever) / len(arms)
        print(f"{metric}: found {len(ever)} ({share:.1%}), at the end {len(end)}", end="")
        for arm in sorted(ever - end):
            first = next(at for at, flag in series[arm] if flag)
            newest = max(at for at, flag in series[arm] if flag)
            print(f"\n  flagged mid-way, not at the end: {arm} ({first[:10]} to {newest[:10]})", end="")
        print()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["files", data, folder]:
            write_files(data, folder)
        case ["summary", path]:
            with open(path, encoding="utf-8") as text:
                summary(text)
        case _:
            sys.exit(__doc__)
