"""The same analyses through verdictd and through Python engines: times, ratios, agreement.

`ask N FOLDER` writes N seeded questions of each kind as JSON lines; `run N FOLDER VERDICTD` answers
them with every engine and prints a table. Start-up is measured with one line and taken off; JSON is
timed apart. CPU seconds, one thread (the caller's environment pins numeric libraries to one).
"""

import json
import os
import random
import resource
import subprocess
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

TUNING = 5000
TOLERANCE = 1e-8
# p-values of engines that take 1 - cdf lose what lies below 1e-15.
LOST = 1e-7


def questions(count):
    """Two arms of shares and of means, plausible and never without variance."""
    draw = random.Random(7)
    for number in range(count):
        n_c, n_t = draw.randint(500, 50_000), draw.randint(500, 50_000)
        base = draw.uniform(0.02, 0.6)
        x_c = max(20, int(n_c * base))
        x_t = max(20, int(n_t * min(0.9, base * draw.uniform(0.9, 1.15))))
        mean = draw.uniform(1, 50)
        yield {
            "id": number,
            "x": (x_c, n_c, x_t, n_t),
            "m": (n_c, round(mean, 4), round(mean * draw.uniform(0.3, 2), 4),
                  n_t, round(mean * draw.uniform(0.97, 1.04), 4),
                  round(mean * draw.uniform(0.3, 2), 4)),
        }


def lines(kind, question):
    x_c, n_c, x_t, n_t = question["x"]
    if kind == "sequential":
        return {"id": question["id"], "method": "tuned_by_size", "tuning_n": TUNING,
                "control": {"x": x_c, "n": n_c}, "treatment": {"x": x_t, "n": n_t}}
    if kind == "z_test":
        return {"id": question["id"], "method": "two_proportions_once",
                "control": {"x": x_c, "n": n_c}, "treatment": {"x": x_t, "n": n_t}}
    n_c, m_c, s_c, n_t, m_t, s_t = question["m"]
    return {"id": question["id"], "method": "welch",
            "control": {"n": n_c, "mean": m_c, "sd": s_c},
            "treatment": {"n": n_t, "mean": m_t, "sd": s_t}}


KINDS = ("sequential", "welch", "z_test")


def ask(count, folder):
    for kind in KINDS:
        with open(f"{folder}/{kind}.jsonl", "w") as out:
            for question in questions(count):
                out.write(json.dumps(lines(kind, question), separators=(",", ":")) + "\n")


def process_time(command, text):
    """CPU and wall seconds of one process, and what it wrote."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall, done.stdout


def timed(work, asked):
    """CPU seconds of `work` over all, without reading or writing JSON."""
    start = time.process_time()
    found = [work(question) for question in asked]
    return time.process_time() - start, found


def engines():
    """Name, kind, and a function from a question to (effect, p, low, high)."""
    from gbstats.frequentist.tests import (FrequentistConfig, SequentialConfig,
                                           SequentialTwoSidedTTest, TwoSidedTTest)
    from gbstats.models.statistics import ProportionStatistic, SampleMeanStatistic
    from scipy.stats import ttest_ind_from_stats
    from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

    sequential = SequentialConfig(sequential_tuning_parameter=TUNING,
                                  difference_type="absolute")
    fixed = FrequentistConfig(difference_type="absolute")

    def gb_sequential(q):
        x_c, n_c, x_t, n_t = q["x"]
        told = SequentialTwoSidedTTest(ProportionStatistic(n=n_c, sum=x_c),
                                       ProportionStatistic(n=n_t, sum=x_t),
                                       sequential).compute_result()
        return told.expected, None, told.ci[0], told.ci[1]

    def gb_welch(q):
        n_c, m_c, s_c, n_t, m_t, s_t = q["m"]

        def arm(n, m, s):
            return SampleMeanStatistic(n=n, sum=m * n, sum_squares=s * s * (n - 1) + m * m * n)
        told = TwoSidedTTest(arm(n_c, m_c, s_c), arm(n_t, m_t, s_t), fixed).compute_result()
        return told.expected, told.p_value, told.ci[0], told.ci[1]

    def sp_welch(q):
        n_c, m_c, s_c, n_t, m_t, s_t = q["m"]
        told = ttest_ind_from_stats(m_t, s_t, n_t, m_c, s_c, n_c, equal_var=False)
        return m_t - m_c, told.pvalue, None, None

    def sm_z(q):
        x_c, n_c, x_t, n_t = q["x"]
        _, p = proportions_ztest([x_t, x_c], [n_t, n_c])
        low, high = confint_proportions_2indep(x_t, n_t, x_c, n_c, method="newcomb")
        return x_t / n_t - x_c / n_c, p, low, high

    return [("gbstats 0.8.0 SequentialTwoSidedTTest", "sequential", gb_sequential),
            ("gbstats 0.8.0 TwoSidedTTest", "welch", gb_welch),
            ("scipy ttest_ind_from_stats (p only)", "welch", sp_welch),
            ("statsmodels z test + Newcombe", "z_test", sm_z)]


def ours(kind, answer):
    if kind == "sequential":
        interval = answer["interval"]
        return answer["estimate"], answer["p"], interval["lower"], interval["upper"]
    if kind == "welch":
        interval = answer["interval"]
        return answer["effect"], answer["p"], interval["lower"], interval["upper"]
    interval = answer["newcombe"]
    return answer["effect"], answer["pooled"]["p"], interval["lower"], interval["upper"]


def differs(a, b, scale):
    if a is None or b is None:
        return False
    return abs(a - b) > TOLERANCE * (abs(b) + scale)


def run(count, folder, program):
    start = time.process_time()
    todo = engines()
    start_up = time.process_time() - start
    asked = list(questions(count))
    of_program = "library alone"
    one_cpu = 0.0
    if program != "none":
        line = b'{"method":"equivalence","estimate":0,"se":1,"margin":1}\n'
        one_cpu = min(process_time([program, "analyze"], line)[0] for _ in range(5))
        of_program = f"{1e3 * one_cpu:.0f} ms"
    print(f"{count} analyses each; start-up (CPU): verdictd {of_program}, "
          f"Python engines {1e3 * start_up:.0f} ms (not in the table)\n")
    head = ("engine", "us each", "+ JSON", "library", "through JSON")
    print("| " + " | ".join(head) + " |\n|---|---|---|---|---|")
    failed = 0
    results = {}
    for kind in KINDS:
        with open(f"{folder}/{kind}.library.json") as text:
            times = json.load(text)
        library, each = times["compute_ns"] / 1e3, times["line_ns"] / 1e3
        with open(f"{folder}/{kind}.answers", "rb") as text:
            out = text.read()
        print(f"| verdictd `{lines(kind, asked[0])['method']}`, in process "
              f"| {library:.2f} | {each:.2f} | | |")
        if program != "none":
            with open(f"{folder}/{kind}.jsonl", "rb") as text:
                data = text.read()
            cpu, _, told = process_time([program, "analyze"], data)
            each = 1e6 * (cpu - one_cpu) / count
            if told != out:
                failed += 1
                print(f"disagree: the program and the library on {kind}")
            print(f"| the same through `verdictd analyze` | | {each:.2f} | | |")
        answers = [json.loads(line)["answer"] for line in out.splitlines()]
        results[kind] = (library, each, answers)
    for name, kind, work in todo:
        cpu, found = timed(work, asked)
        begin = time.process_time()
        for question, told in zip(asked, found):
            json.loads(json.dumps(lines(kind, question)))
            json.dumps(told, default=float)
        extra = time.process_time() - begin
        library, each, answers = results[kind]
        us, with_json = 1e6 * cpu / count, 1e6 * (cpu + extra) / count
        print(f"| {name} | {us:.1f} | {with_json:.1f} | {us / library:.0f}x | "
              f"{with_json / each:.0f}x |")
        for question, theirs, answer in zip(asked, found, answers):
            mine = ours(kind, answer)
            scale = abs((mine[3] or 0) - (mine[2] or 0))
            if any(differs(m, t, s) for m, t, s in zip(mine, theirs, (scale, LOST, scale, scale))):
                failed += 1
                if failed <= 5:
                    print(f"disagree: {name} {question} ours {mine} theirs {theirs}")
    print(f"\n{len(todo) * count - failed} of {len(todo) * count} analyses agree within "
          f"{TOLERANCE:g} (relative; intervals relative to their width)")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(int(sys.argv[2]), sys.argv[3])
    else:
        run(int(sys.argv[2]), sys.argv[3], sys.argv[4])
