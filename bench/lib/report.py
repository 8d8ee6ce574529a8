"""From runs to figures, and from figures to tables.

Of the runs of a cell (contestant, operation, pipeline), rate and CPU are medians; user and system
time split the CPU by all their ticks together, since one run has too few.
"""

from statistics import median

BASE = "redis"
FLOOR = "responder"


class Cell:
    """The figures of one contestant at one operation and pipeline."""

    def __init__(self, runs):
        self.runs = runs
        self.rate = median(run.rate for run in runs)
        self.cpu_us = median(run.cpu_ns / run.requests for run in runs) / 1000
        self.p50_ms = median(run.p50_ms for run in runs)
        self.p99_ms = median(run.p99_ms for run in runs)
        user = sum(run.user_ticks for run in runs)
        ticks = user + sum(run.system_ticks for run in runs)
        self.user_us = self.cpu_us * user / ticks if ticks else 0.0
        self.system_us = self.cpu_us - self.user_us
        # Of the time in which it could have run, how long others had its core.
        self.waited = (sum(run.wait_ns for run in runs) /
                       max(1, sum(run.cpu_ns + run.wait_ns for run in runs)))
        self.cpu_seconds = sum(run.cpu_ns for run in runs) / 1e9
        costs = sorted(run.cpu_ns / run.requests for run in runs)
        self.spread = (costs[-1] - costs[0]) / costs[0] if costs[0] else 0.0

    def as_json(self):
        return {"rate_per_s": round(self.rate), "cpu_us": self.cpu_us, "user_us": self.user_us,
                "system_us": self.system_us, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms,
                "waited": self.waited, "cpu_seconds": self.cpu_seconds, "spread": self.spread,
                "runs": [run._asdict() for run in self.runs]}


def cells_of(results):
    return {place: Cell(runs) for place, runs in results.items() if runs}


def _us(value):
    return f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def _thousands(rate):
    return f"{rate / 1000:,.0f}"


def _ratio(value, base):
    return f"{value / base:.2f}" if base else "-"


def _over(cells, place, other, figure):
    """The ratio of a figure to that of another contestant at the same place."""
    cell, base = cells.get(place), cells.get((other, *place[1:]))
    return _ratio(getattr(cell, figure), getattr(base, figure)) if cell and base else "-"


def _names(cells, operation, names):
    return [name for name in names if any(place[:2] == (name, operation) for place in cells)]


def _grid(header, rows):
    """Columns aligned: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        first = row[0].ljust(widths[0])
        lines.append("  ".join([first] + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:])]))
    return "\n".join(lines)


def text(cells, names, operations, pipelines):
    """One block for each operation and pipeline."""
    blocks = []
    for operation in operations:
        for pipeline in pipelines:
            rows = []
            for name in _names(cells, operation, names):
                place = (name, operation, pipeline)
                cell = cells.get(place)
                if cell is None:
                    continue
                rows.append([name, _thousands(cell.rate), _us(cell.user_us), _us(cell.system_us),
                             _us(cell.cpu_us), _over(cells, place, BASE, "rate"),
                             _over(cells, place, BASE, "cpu_us"),
                             _over(cells, place, FLOOR, "cpu_us"),
                             f"{cell.spread:.0%}", f"{cell.waited:.0%}"])
            header = [f"{operation.upper()} P={pipeline}", "rate k/s", "user us", "sys us",
                      "CPU us", "rate/redis", "CPU/redis", "CPU/floor", "spread", "waited"]
            if rows:
                blocks.append(_grid(header, rows))
    return "\n\n".join(blocks)


def _markdown_table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def markdown(cells, names, operations, pipelines):
    """One table for each operation."""
    tables = []
    for operation in operations:
        header = [operation.upper()]
        header += [f"P={pipeline}: user + sys µs" for pipeline in pipelines]
        levels = " / ".join(str(pipeline) for pipeline in pipelines)
        header += [f"thousand/s at P={levels}", "rate over redis", "CPU over redis",
                   "CPU over responder"]
        rows = []
        for name in _names(cells, operation, names):
            places = [(name, operation, pipeline) for pipeline in pipelines]
            found = [cells.get(place) for place in places]
            row = [name]
            row += [f"{_us(c.user_us)} + {_us(c.system_us)}" if c else "-" for c in found]
            row.append(" / ".join(_thousands(c.rate) if c else "-" for c in found))
            row += [" / ".join(_over(cells, place, other, figure) for place in places)
                    for other, figure in ((BASE, "rate"), (BASE, "cpu_us"), (FLOOR, "cpu_us"))]
            rows.append(row)
        if rows:
            tables.append(_markdown_table(header, rows))
    return "\n\n".join(tables)


def build_ratios(cells, labels, kinds, operations, pipelines):
    """How much CPU every further build of larder takes compared with the first, as rows of
    (name, operation, pipeline, ratio, lowest, highest). The ratio is the median of those within
    each round, because what disturbs a machine disturbs neighbouring runs alike; lowest and highest
    are of single rounds."""
    rows = []
    for kind in kinds:
        for label in labels[1:]:
            for operation in operations:
                for pipeline in pipelines:
                    old = cells.get((f"{labels[0]}-{kind}", operation, pipeline))
                    new = cells.get((f"{label}-{kind}", operation, pipeline))
                    if old is None or new is None:
                        continue
                    ratios = [(b.cpu_ns / b.requests) / (a.cpu_ns / a.requests)
                              for a, b in zip(old.runs, new.runs)]
                    rows.append((f"{label}-{kind}", operation, pipeline, median(ratios),
                                 min(ratios), max(ratios)))
    return rows


def build_table(ratios, pipelines, base, as_markdown):
    header = [f"CPU, {base} = 1"] + [f"P={pipeline}" for pipeline in pipelines]
    found = {}
    for name, operation, pipeline, ratio, lowest, highest in ratios:
        shown = f"{ratio:.3f} ({lowest:.2f} to {highest:.2f})"
        found.setdefault((name, operation), {})[pipeline] = shown
    rows = [[f"{name} {operation.upper()}"] + [cols.get(pipeline, "-") for pipeline in pipelines]
            for (name, operation), cols in found.items()]
    return _markdown_table(header, rows) if as_markdown else _grid(header, rows)
