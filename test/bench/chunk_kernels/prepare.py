#!/usr/bin/env python3
"""Compiles chunk kernels for a list of models, shapes and plans to cubins, and writes a manifest that run.py reads on a machine with a GPU.

    prepare.py --build build --out DIR [--cases cases.json]

Every case says: model, dims, chunk, plan (options of lower-chunks-to-tiles). What ptxas says of registers and spills goes into the
manifest, and into a table on the terminal. Needs ptxas.
"""
import argparse, concurrent.futures, json, os, re, shutil, subprocess, sys

PTXAS = shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"


def ptx_of(text):
    found = re.search(r'(?:assembly|bin) = "((?:[^"\\]|\\.)*)"', text)
    body = re.sub(r"\\([0-9A-Fa-f]{2})", lambda m: chr(int(m.group(1), 16)), found.group(1))
    return body.replace("\\\\", "\\").rstrip("\0")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def launches(kernels):
    """The launches of all kernels: attributes of theirs before they become text."""
    pattern = (r"gpu.func @(\w+)\(.*?rondo.launch = "
               r"\{shared_bytes = (\d+) : i64, threads = (\d+) : i64, value_blocks = (\d+) : i64\}")
    return {name: {"shared_bytes": int(shared), "threads": int(threads), "value_blocks": int(blocks)}
            for name, shared, threads, blocks in re.findall(pattern, kernels)}


def assemble(ptx, cubin, arch):
    """Registers and spilled bytes per kernel; a text where ptxas fails."""
    said = run(PTXAS, "-arch=" + arch, "-v", ptx, "-o", cubin)
    if said.returncode:
        return said.stderr.strip()[-200:]
    found = re.findall(r"entry function '(\w+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers", said.stderr, re.S)
    return {name: (int(registers), int(spills)) for name, spills, registers in found}


def make(case, build, out):
    name = case["name"]
    form, made, ptx = (f"{out}/{name}.{end}" for end in ("form.mlir", "tiles.mlir", "ptx"))
    dims = [f"{k}={v}" for k, v in case["dims"].items()]
    options = " ".join(f"{k}={v}" for k, v in case["plan"].items()) + (" segments=true" if case.get("segments") else "")
    said = run(f"{build}/bin/rondo", "compile", case["model"], "--emit", "form", "--dtype", case.get("dtype", "bf16"), "--form", "chunk",
               "--chunk", str(case["chunk"]), "--dim", *dims, "-o", form)
    if said.returncode == 0:
        said = run(f"{build}/bin/rondo-opt", form, f"--lower-chunks-to-tiles={options}", "-o", made)
    kernels = open(made).read() if said.returncode == 0 else ""
    result = {**case, "launches": launches(kernels)}
    if kernels and result["launches"]:
        said = run(f"{build}/bin/rondo-opt", made, "--tiles-to-ptx")
    for path in (form, made):
        if os.path.exists(path):
            os.remove(path)
    if said.returncode or not result["launches"]:
        return {**case, "error": (said.stderr.strip().splitlines() or ["no kernel"])[0][-150:]}
    with open(ptx, "w") as file:
        file.write(ptx_of(said.stdout))
    counts = assemble(ptx, f"{out}/{name}.cubin", case.get("arch", "sm_90a"))
    if isinstance(counts, str):
        return {**case, "error": counts}
    os.remove(ptx)
    result["file"] = f"{name}.cubin"
    result["registers"], result["spills"] = counts["chunk_scan_0"]
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", required=True)
    parser.add_argument("--cases", required=True)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    cases = json.load(open(args.cases))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda case: make(case, args.build, args.out), cases))
    for case in made:
        print(f"{case['name']:44} " + (case.get("error") or f"{case['registers']:4} registers {case['spills']:5} spilled "
                                       f"{case['launches']['chunk_scan_0']['shared_bytes']:7} shared {case['launches']['chunk_scan_0']['threads']:4} threads"))
    json.dump([case for case in made if "error" not in case], open(f"{args.out}/manifest.json", "w"), indent=1)


if __name__ == "__main__":
    main()
