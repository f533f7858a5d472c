#!/usr/bin/env python3
"""Compiles chunk kernels for a list of models, shapes and plans to cubins, and writes a manifest that run.py reads on a machine with a GPU.

    prepare.py --build build --out DIR [--cases cases.json]

Every case says: model, dims, chunk, plan (options of lower-chunks-to-tiles). What ptxas says of registers and spills goes into the
manifest, and into a table on the terminal. Needs ptxas; without it the PTX itself is written, and the driver compiles it.
"""
import argparse, concurrent.futures, json, os, re, shutil, subprocess, sys

PTXAS = shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"


def ptx_of(text):
    found = re.search(r'(?:assembly|bin) = "((?:[^"\\]|\\.)*)"', text)
    body = re.sub(r"\\([0-9A-Fa-f]{2})", lambda m: chr(int(m.group(1), 16)), found.group(1))
    return body.replace("\\\\", "\\").rstrip("\0")


def make(case, build, out):
    name = case["name"]
    rondo, opt = f"{build}/bin/rondo", f"{build}/bin/rondo-opt"
    form = f"{out}/{name}.form.mlir"
    dims = [f"{k}={v}" for k, v in case["dims"].items()]
    subprocess.run([rondo, "compile", case["model"], "--emit", "form", "--dtype", case.get("dtype", "bf16"), "--form", "chunk",
                    "--chunk", str(case["chunk"]), "--dim", *dims, "-o", form], check=True)
    options = " ".join(f"{k}={v}" for k, v in case["plan"].items())
    made = subprocess.run([opt, form, f"--lower-chunks-to-tiles={options}", "--tiles-to-ptx"], capture_output=True, text=True)
    os.remove(form)
    launches = re.findall(r"shared_bytes = (\d+) : i64, threads = (\d+) : i64, value_blocks = (\d+) : i64", made.stdout)
    kernels = subprocess.run([opt, "-", f"--lower-chunks-to-tiles={options}"], capture_output=True, text=True).stdout if not launches else ""
    if made.returncode or "assembly" not in made.stdout:
        return {**case, "error": (made.stderr.strip().splitlines() or ["no kernel"])[0][-150:]}
    ptx = f"{out}/{name}.ptx"
    with open(ptx, "w") as file:
        file.write(ptx_of(made.stdout))
    result = {**case, "file": f"{name}.ptx", **case_launch(case, opt, build, out, options)}
    said = subprocess.run([PTXAS, "-arch=" + case.get("arch", "sm_90a"), "-v", ptx, "-o", f"{out}/{name}.cubin"], capture_output=True, text=True)
    if said.returncode == 0:
        os.remove(ptx)
        result["file"] = f"{name}.cubin"
        result["registers"] = int(re.search(r"Used (\d+) registers", said.stderr).group(1))
        result["spills"] = int(re.search(r"(\d+) bytes spill stores", said.stderr).group(1))
    else:
        result["error"] = said.stderr.strip()[-200:]
    return result


def case_launch(case, opt, build, out, options):
    """The launch is an attribute of the kernel before it becomes text."""
    form = f"{out}/{case['name']}.launch.mlir"
    dims = [f"{k}={v}" for k, v in case["dims"].items()]
    subprocess.run([f"{build}/bin/rondo", "compile", case["model"], "--emit", "form", "--dtype", case.get("dtype", "bf16"), "--form",
                    "chunk", "--chunk", str(case["chunk"]), "--dim", *dims, "-o", form], check=True)
    text = subprocess.run([opt, form, f"--lower-chunks-to-tiles={options}"], capture_output=True, text=True).stdout
    os.remove(form)
    shared, threads, blocks = re.search(
        r"rondo.launch = \{shared_bytes = (\d+) : i64, threads = (\d+) : i64, value_blocks = (\d+) : i64\}", text).groups()
    return {"shared_bytes": int(shared), "threads": int(threads), "value_blocks": int(blocks)}


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
                                       f"{case['shared_bytes']:7} shared {case['threads']:4} threads"))
    json.dump([case for case in made if "error" not in case], open(f"{args.out}/manifest.json", "w"), indent=1)


if __name__ == "__main__":
    main()
