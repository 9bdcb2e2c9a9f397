#!/usr/bin/env python3
"""Compares `virtio-tlm pcie` with the analytic oracle, tests/tlm/pcie_analytic.py, over a grid of links and all sizes of the
program's table: within 2 %, and never above it by more than 0.1 %.

usage: pcie_agrees.py VIRTIO_TLM [extra options of virtio-tlm pcie]
"""
import itertools
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tlm"))
sys.dont_write_bytecode = True
import pcie_analytic  # noqa: E402

LINKS = ((1, 1), (1, 16), (2, 4), (3, 8), (4, 2), (4, 16), (5, 16))
SIZES = ("--mps 128 --mrrs 128", "--mps 256 --mrrs 512", "--mps 512 --mrrs 4096", "--mps 128 --mrrs 4096 --rcb 128")
MORE = ("--gen 3 --lanes 8 --mps 256 --mrrs 512 --completion-size 64", "--gen 3 --lanes 8 --mps 4096 --mrrs 4096",
        "--gen 4 --lanes 8 --mps 512 --mrrs 1024 --rcb 128 --completion-size 128 --ecrc",
        "--gen 2 --lanes 8 --mps 256 --mrrs 512 --addr32 --ecrc")


def main():
    program, extra = sys.argv[1], sys.argv[2:]
    grid = [f"--gen {gen} --lanes {lanes} {sizes}" for (gen, lanes), sizes in itertools.product(LINKS, SIZES)]
    compared, worst, wrong = 0, 0.0, 0
    for link, op in itertools.product([*grid, *MORE], ("read", "write", "readwrite")):
        options = [*link.split(), "--op", op]
        output = subprocess.run([program, "pcie", *options, "--json", *extra], check=True, capture_output=True, text=True)
        oracle = pcie_analytic.parse(options)
        for row in json.loads(output.stdout):
            expected = pcie_analytic.bandwidth(oracle, row["size"], op)["effective_gbps"]
            error = row["effective_gbps"] / expected - 1
            worst = max(worst, abs(error))
            compared += 1
            if not -0.02 <= error <= 0.001:
                wrong += 1
                print(f"{link} --op {op} --size {row['size']}: {row['effective_gbps']}, expected {expected:.4f}",
                      file=sys.stderr)
    print(f"{compared} compared, {wrong} wrong, worst error {100 * worst:.2f} %")
    return wrong != 0 or compared < 1000


if __name__ == "__main__":
    sys.exit(main())
