#!/usr/bin/env python3
"""What a PCI Express link can carry at most, in closed form: an oracle that knows nothing of our link simulator.

The model is that of Neugebauer and others, "Understanding PCIe performance for end host networking", SIGCOMM 2018, and
of the authors' public repository pcie-bench/pcie-model (model/pcie.py, model/mem_bw.py), here in words and code of our
own. [paper], [repository] and [base spec] (PCI Express Base Specification 5.0) name the source of each formula.

Rates
  encoded = GT/s * lanes * 8/10 (Gen 1, 2) or 128/130 (Gen 3 to 5)           [paper: 8 x 7.87 = 62.96 Gb/s for Gen 3 x8]
  tlp     = encoded * (1 - ack_share - update_fc_share - skp_share)          [paper: 57.88 Gb/s at MPS 256; repository]
  ack_share = update_fc_share = 8 / limit: one DLLP of 8 bytes (6 and framing) each time the limit passes.
      The repository holds the limits as two tables. They are the base specification's formula, rounded down, for the latency
      of an Ack, in symbol times, which that specification recommends for UpdateFC too:
      limit = (MPS + 28) * factor / lanes + delay; delay 19, 70, 115 for Gen 1, 2, 3 and later;
      factor 1.4 (x1 to x4), 2.5 (x8), 3 (x16, x32) up to MPS 256, and 1, 1, 2 above.
                                                                                  [base spec, tables 3-7 to 3-9]
      All 360 entries for Gen 1 to 5 follow it but two, which are misprints, as they differ between the two tables: x32 at
      Gen 1, MPS 2048 (248 for UpdateFC, 148 for Ack) and at Gen 2, MPS 4096 (327 and 237). 148 and 327 are the formula's.
      A symbol time carries `lanes` bytes, while the model charges one limit of *bytes*: on wide links it takes `lanes`
      times what DLLPs need when nothing but their bytes counts. We take it as it was published; encoded_gbps and the
      three shares are printed, so that another account can be made of them.
  skp_share = 4 / 1538, at every generation.                                  [repository]

Bytes on the wire, for a device that reads and writes host memory; upstream is towards the host
  A TLP has 8 bytes around it (framing 2, sequence number 2, LCRC 4), 4 of the common header, and
  8 more for a request with a 32-bit address or a completion, 12 with a 64-bit address; ECRC adds 4:
  write and read request 24 (64-bit) or 20, completion 20.                    [repository, model/pcie.py]
  write, upstream:    ceil(size / MPS) * request + size                       [paper; repository, write]
  read, upstream:     ceil(size / MRRS) * request                             [repository, read]
  read, downstream:   completions * completion + size                         [paper; repository, read]
  completions: the operation starts at an aligned address and is cut into requests of MRRS bytes; each is answered in
      pieces of `completion size`, the last one shorter. Completion size is MPS unless given, the repository's default;
      its option rcb_chunks is --completion-size equal to --rcb. It must be a multiple of RCB (64 or 128 [base spec,
      2.3.1.1]) and not above MPS; RCB does not enter the result otherwise. The published count is ceil(size / MPS), the
      same whenever MRRS is a multiple of the completion size; where MRRS is smaller, one completion would answer two
      requests there, which no link does.
  Payload is not padded to whole dwords, as in both sources: give sizes that are multiples of 4.

Result
  operations/s = min(tlp / upstream bits, tlp / downstream bits); effective_gbps = size * 8 * operations/s.
  readwrite: one operation is a read and a write of `size`, so upstream carries write TLPs and read requests;
  effective_gbps is the payload rate of each of the two.                      [repository, read_write]
Latency, tags, credits, replay and the host are not in it: a simulator that charges DLLPs and SKP as this model does must
come close when none of them limits, and must never be above it.
"""
import argparse
import json
import math
import sys

TRANSFER_RATE = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0}  # GT/s
LANES = (1, 2, 4, 8, 16, 32)
TLP_SIZES = (128, 256, 512, 1024, 2048, 4096)
READ_COMPLETION_BOUNDARIES = (64, 128)
AROUND_A_TLP = 8
COMMON_HEADER = 4
DLLP = 8
SKP_SHARE = 4 / 1538


def encoded_gbps(gen, lanes):
    return TRANSFER_RATE[gen] * lanes * (8 / 10 if gen < 3 else 128 / 130)


def dllp_limit(gen, lanes, mps):
    """Symbol times between two Acks, and between two UpdateFCs of a kind."""
    tenths = {1: 14, 2: 14, 4: 14, 8: 25, 16: 30, 32: 30} if mps <= 256 else {
        1: 10, 2: 10, 4: 10, 8: 10, 16: 20, 32: 20}
    return (mps + 28) * tenths[lanes] // (10 * lanes) + {1: 19, 2: 70}.get(gen, 115)


def bytes_on_the_wire(link, size, op):
    """(upstream, downstream) of one operation."""
    ecrc = 4 if link.ecrc else 0
    request = AROUND_A_TLP + COMMON_HEADER + (12 if link.addr64 else 8) + ecrc
    completion = AROUND_A_TLP + COMMON_HEADER + 8 + ecrc
    upstream = downstream = 0
    if "write" in op:
        upstream += math.ceil(size / link.mps) * request + size
    if "read" in op:
        whole, rest = divmod(size, link.mrrs)
        pieces = whole * math.ceil(link.mrrs / link.completion_size) + math.ceil(rest / link.completion_size)
        upstream += math.ceil(size / link.mrrs) * request
        downstream += pieces * completion + size
    return upstream, downstream


def bandwidth(link, size, op):
    encoded = encoded_gbps(link.gen, link.lanes)
    dllp_share = DLLP / dllp_limit(link.gen, link.lanes, link.mps)
    tlp = encoded * (1 - 2 * dllp_share - SKP_SHARE)
    upstream, downstream = bytes_on_the_wire(link, size, op)
    operations = tlp * 1e9 / 8 / max(upstream, downstream)
    return {
        "effective_gbps": size * 8 * operations / 1e9,
        "operations_per_second": operations,
        "transfer_rate_gtps": TRANSFER_RATE[link.gen] * link.lanes,
        "encoded_gbps": encoded,
        "tlp_gbps": tlp,
        "ack_share": dllp_share,
        "update_fc_share": dllp_share,
        "skp_share": SKP_SHARE,
        "upstream_bytes": upstream,
        "downstream_bytes": downstream,
        "completion_size": link.completion_size,
    }


# Rows of the repository's tables; what the repository's own functions give, to four decimals; and bytes counted by
# hand, also where the repository has no answer.
PUBLISHED_LIMITS = {
    (1, 1): (237, 416, 559, 1071, 2095, 4143),
    (1, 2): (128, 217, 289, 545, 1057, 2081),
    (1, 16): (48, 72, 86, 150, 278, 534),
    (1, 32): (33, 45, 52, 84, 148, 276),
    (2, 4): (124, 169, 205, 333, 589, 1101),
    (2, 8): (118, 158, 137, 201, 329, 585),
    (2, 32): (84, 96, 103, 135, 199, 327),
    (3, 8): (163, 203, 182, 246, 374, 630),
    (4, 32): (129, 141, 148, 180, 244, 372),
    (5, 16): (144, 168, 182, 246, 374, 630),
}
PUBLISHED_RATES = [  # arguments, read, write, readwrite
    ("--size 64", 44.1027, 42.0980, 33.0770),
    ("--size 256", 53.6902, 52.9232, 48.7451),
    ("--size 257", 50.0888, 48.7750, 45.2170),
    ("--size 1024", 53.6902, 52.9232, 50.7483),
    ("--size 1500", 53.5970, 52.8146, 50.5986),
    ("--gen 4 --lanes 16 --mps 512 --size 4096", 220.6284, 218.9819, 209.5970),
    ("--gen 1 --lanes 1 --mps 128 --mrrs 128 --size 128", 1.6085, 1.5661, 1.3526),
    ("--gen 2 --lanes 4 --mps 128 --size 2048", 12.0163, 11.7001, 11.2558),
    ("--size 1024 --completion-size 64", 44.1027, 52.9232, 44.1027),
    ("--size 1024 --addr32 --ecrc", 52.9232, 52.9232, 50.7483),
]
BY_HAND = [  # arguments, upstream bytes, downstream bytes
    ("--size 256 --op write", 24 + 256, 0),
    ("--size 260 --op write --addr32", 2 * 20 + 260, 0),
    ("--size 4 --op read --ecrc", 28, 24 + 4),
    ("--size 768 --op readwrite", 3 * 24 + 768 + 2 * 24, 3 * 20 + 768),
    ("--size 256 --mrrs 128 --op read", 2 * 24, 2 * 20 + 256),
    ("--size 700 --mrrs 512 --completion-size 192 --op read", 2 * 24, (3 + 1) * 20 + 700),
]


def self_test():
    checks = []

    def near(what, got, expected, tolerance):
        checks.append(what)
        if abs(got - expected) > tolerance:
            sys.exit(f"{what}: {got}, expected {expected}")

    near("Gen 3 x8 encoded, as the paper rounds it", round(encoded_gbps(3, 1) - 0.005, 2) * 8, 62.96, 1e-9)
    near("Gen 3 x8 at the TLP layer", bandwidth(parse(["--size", "64"]), 64, "read")["tlp_gbps"], 57.88, 0.005)
    for (gen, lanes), limits in PUBLISHED_LIMITS.items():
        for mps, limit in zip(TLP_SIZES, limits):
            near(f"limit of Gen {gen} x{lanes}, MPS {mps}", dllp_limit(gen, lanes, mps), limit, 0)
    for arguments, *rates in PUBLISHED_RATES:
        link = parse(arguments.split())
        for op, rate in zip(("read", "write", "readwrite"), rates):
            near(f"{op} {arguments}", bandwidth(link, link.size, op)["effective_gbps"], rate, 6e-5)
    for arguments, *expected in BY_HAND:
        link = parse(arguments.split())
        for way, got, count in zip(("upstream", "downstream"), bytes_on_the_wire(link, link.size, link.op), expected):
            near(f"{way} bytes of {arguments}", got, count, 0)
    print(f"{len(checks)} published or hand-made values reproduced")


def parse(arguments):
    parser = argparse.ArgumentParser(
        description="Effective bandwidth of a PCI Express link after the pcie-bench model, as one JSON object.",
        epilog="example: pcie_analytic.py --gen 4 --lanes 16 --mps 256 --mrrs 512 --size 1024 --op read")
    parser.add_argument("--gen", type=int, choices=TRANSFER_RATE, default=3)
    parser.add_argument("--lanes", type=int, choices=LANES, default=8)
    parser.add_argument("--mps", type=int, choices=TLP_SIZES, default=256, help="bytes; default 256")
    parser.add_argument("--mrrs", type=int, choices=TLP_SIZES, default=512, help="bytes; default 512")
    parser.add_argument("--rcb", type=int, choices=READ_COMPLETION_BOUNDARIES, default=64, help="bytes; default 64")
    parser.add_argument("--size", type=int, default=256, help="bytes of payload of one operation; default 256")
    parser.add_argument("--op", choices=("read", "write", "readwrite"), default="read")
    parser.add_argument("--completion-size", default="mps", help="bytes, a multiple of --rcb, or mps, the default")
    parser.add_argument("--ecrc", action="store_true")
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--self-test", action="store_true", help="reproduce published values, then stop")
    width = parser.add_mutually_exclusive_group()
    width.add_argument("--addr64", dest="addr64", action="store_true", default=True, help="the default")
    width.add_argument("--addr32", dest="addr64", action="store_false")
    link = parser.parse_args(arguments)
    if link.size < 1:
        parser.error("--size: must be at least 1")
    if link.completion_size == "mps":
        link.completion_size = link.mps
    elif not link.completion_size.isdecimal() or not 0 < int(link.completion_size) <= link.mps or \
            int(link.completion_size) % link.rcb:
        parser.error("--completion-size: must be mps, or a multiple of --rcb that is at most --mps")
    link.completion_size = int(link.completion_size)
    return link


def main():
    link = parse(sys.argv[1:])
    if link.self_test:
        return self_test()
    print(json.dumps(bandwidth(link, link.size, link.op), indent=None if link.json else 2))


if __name__ == "__main__":
    main()
