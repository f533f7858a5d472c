#ifndef RONDO_TARGET_CUDA_PASSES
#define RONDO_TARGET_CUDA_PASSES
include "mlir/Pass/PassBase.td"

def ChooseTiles : Pass<"choose-tiles", "::mlir::ModuleOp"> {
  let summary = "plans of chunks become plans of kernels on matrix instructions, or of steps; elementwise recurrences go in tiles of time";
  let description = [{
    After `choose-plans`: of each scan whose plan has chunks, the size of a chunk (64 or 32 steps, unless `chunk` says it), columns and warps
    of a block, stages, whether scores run ahead, and whether products are of warpgroups, as the cost model takes them (README-tiles.md). What `plan` asks for is kept, and
    the rest chosen; where nothing fits, the pass fails, and names the constraint and the nearest plan that the scan can follow.

    A `recur.linear_scan` for which nothing is asked has the form scan, by segments, where it has kernels in tiles of time (README-cells.md);
    why it has none, an attribute says. Sums of rows in its step that wait for no state become a scan without states, where it has kernels then. With `form=scan` the pass fails where no scan has such kernels; with `gradient` it keeps to steps: what is differentiated has no segments.

    Requires: static step types and chosen element types. Ensures: every plan with chunks has a kernel on tiles. Declines, with a remark that
    says why, what has none: its plan is one of steps then. With `form=chunk` it fails where that leaves no chunks at all.
    Cost: scans are formed twice, on a copy.

    ```mlir
    // rondo-opt --choose-plans="form=chunk" --choose-tiles="arch=sm_90a"
    func.func @sums(%k: tensor<?x?x64xbf16, #recur.dims<batch, time | "64">>, %S0: tensor<?x64x64xf32, #recur.dims<batch | "64", "64">>)
        -> (tensor<?x?x64xbf16, #recur.dims<batch, time | "64">>, tensor<?x64x64xf32, #recur.dims<batch | "64", "64">>) {
      %o, %S = recur.expand_scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
          inputs(%k : tensor<?x?x64xbf16, #recur.dims<batch, time | "64">>)
          inits(%S0 : tensor<?x64x64xf32, #recur.dims<batch | "64", "64">>)
          key_axes [0] decays [#recur.decay<0, []>] outers [0] readouts [#recur.readout<0, 0>] coefficients {
      ^bb0(%kt: tensor<64xf32, #recur.dims<| "64">>):
        %a = arith.constant dense<0.9> : tensor<f32, #recur.dims<>>
        recur.coefficients decays(%a : tensor<f32, #recur.dims<>>) keys(%kt : tensor<64xf32, #recur.dims<| "64">>)
          values(%kt : tensor<64xf32, #recur.dims<| "64">>) queries(%kt : tensor<64xf32, #recur.dims<| "64">>)
      } readout {
      ^bb0(%kt: tensor<64xf32, #recur.dims<| "64">>, %y: tensor<64xf32, #recur.dims<| "64">>):
        recur.yield outputs(%y : tensor<64xf32, #recur.dims<| "64">>)
      } : tensor<?x?x64xbf16, #recur.dims<batch, time | "64">>, tensor<?x64x64xf32, #recur.dims<batch | "64", "64">>
      return %o, %S : tensor<?x?x64xbf16, #recur.dims<batch, time | "64">>, tensor<?x64x64xf32, #recur.dims<batch | "64", "64">>
    }
    ```
  }];
  let options = [Option<"form", "form", "std::string", "\"auto\"", "auto, step, scan or chunk">,
                 Option<"gradient", "gradient", "bool", "false", "scans are differentiated after this: none is cut into segments">,
                 Option<"chunk", "chunk", "int64_t", "0", "steps per chunk; 0 leaves them to the pass">,
                 Option<"plan", "plan", "std::string", "\"\"", "parts of plans, as choose-plans takes them">,
                 Option<"warpgroups", "warpgroups", "bool", "true", "products of warpgroups may be chosen where nobody asks for them">,
                 Option<"arch", "arch", "std::string", "\"sm_80\"", "the GPU: sm_80, sm_89, sm_90a, ...">];
  let dependentDialects = ["::rondo::chunk::ChunkDialect"];
}

def NarrowOperands : Pass<"narrow-operands", "::mlir::func::FuncOp"> {
  let summary = "what one scan hands to another, and matrix instructions alone take, has their 16 bits in memory";
  let description = [{
    An output of a scan that is no result of the function, and of which other scans do nothing but multiply it by matrix instructions
    (README-cells.md: sums of outer products, and products of parameters) or sum it up, is rounded when it is stored, to the type that it
    would be rounded to when it is multiplied. It takes half of the memory, and its copies need no registers.

    Requires: chosen element types and forms. Ensures: nothing is rounded twice. Declines: what is also read by anything else.
    Cost: linear in the operations.

    ```mlir
    // rondo-opt --narrow-operands
    func.func @gate(%x: tensor<?x?x64xbf16, #recur.dims<batch, time | "64">>, %W: tensor<64x64xbf16, #recur.dims<| "64", "64">>)
        -> tensor<?x?x64xbf16, #recur.dims<batch, time | "64">> {
      %0 = recur.scan over [#recur.axis<"t">] inputs(%x : tensor<?x?x64xbf16, #recur.dims<batch, time | "64">>) {
      ^bb0(%xt: tensor<64xf32, #recur.dims<| "64">>):
        %y = recur.map tanh(%xt) : (tensor<64xf32, #recur.dims<| "64">>) -> tensor<64xf32, #recur.dims<| "64">>
        recur.yield outputs(%y : tensor<64xf32, #recur.dims<| "64">>)
      } : tensor<?x?x64xf32, #recur.dims<batch, time | "64">>
      %1 = recur.scan over [#recur.axis<"t">] inputs(%0 : tensor<?x?x64xf32, #recur.dims<batch, time | "64">>)
          params(%W : tensor<64x64xbf16, #recur.dims<| "64", "64">>) {
      ^bb0(%yt: tensor<64xf32, #recur.dims<| "64">>, %w: tensor<64x64xf32, #recur.dims<| "64", "64">>):
        %z = recur.contract "ab,a->b"(%w, %yt) : (tensor<64x64xf32, #recur.dims<| "64", "64">>, tensor<64xf32, #recur.dims<| "64">>) -> tensor<64xf32, #recur.dims<| "64">>
        recur.yield outputs(%z : tensor<64xf32, #recur.dims<| "64">>)
      } : tensor<?x?x64xbf16, #recur.dims<batch, time | "64">>
      return %1 : tensor<?x?x64xbf16, #recur.dims<batch, time | "64">>
    }
    ```
  }];
}

def ThinScans : Pass<"thin-scans", "::mlir::func::FuncOp"> {
  let summary = "what keeps a recurrence from going in tiles of time leaves it";
  let description = [{
    Two things leave a `recur.scan` with states. Sums over parameters of more than 32 terms, which are the same at each step, become a
    parameter: the final state of a scan that forgets, of which one step is taken. And outputs of a scan whose states are vectors, or numbers: where they
    are neither elementwise in the channels nor sums over neighbours, the recurrence gives what they need of its states, elementwise or summed up, and a scan
    without states computes them.

    Requires: static step types. Ensures: a recurrence that loses its outputs has kernels in tiles of time (README-cells.md), or has them when
    `choose-tiles` takes sums over rows of its inputs off it; it is not raised yet.
    Declines: resets, packed sequences, several axes, states that are read further back than one step.
    Cost: the second scan reads 1/16 of a state for each sum, and the state once more for what is elementwise.

    ```mlir
    // rondo-opt --thin-scans
    func.func @normaliser(%k: tensor<?x?x64xf32, #recur.dims<batch, time | "64">>, %n0: tensor<?x64xf32, #recur.dims<batch | "64">>)
        -> (tensor<?x?xf32, #recur.dims<batch, time>>, tensor<?x64xf32, #recur.dims<batch | "64">>) {
      %y, %n = recur.scan over [#recur.axis<"t">] states [#recur.state<"n", [[1]]>]
          inputs(%k : tensor<?x?x64xf32, #recur.dims<batch, time | "64">>) inits(%n0 : tensor<?x64xf32, #recur.dims<batch | "64">>) {
      ^bb0(%kt: tensor<64xf32, #recur.dims<| "64">>, %h: tensor<64xf32, #recur.dims<| "64">>):
        %new = recur.map add(%kt, %h) : (tensor<64xf32, #recur.dims<| "64">>, tensor<64xf32, #recur.dims<| "64">>) -> tensor<64xf32, #recur.dims<| "64">>
        %r = recur.contract "a,a->"(%new, %kt) : (tensor<64xf32, #recur.dims<| "64">>, tensor<64xf32, #recur.dims<| "64">>) -> tensor<f32, #recur.dims<>>
        recur.yield states(%new : tensor<64xf32, #recur.dims<| "64">>) outputs(%r : tensor<f32, #recur.dims<>>)
      } : tensor<?x?xf32, #recur.dims<batch, time>>, tensor<?x64xf32, #recur.dims<batch | "64">>
      return %y, %n : tensor<?x?xf32, #recur.dims<batch, time>>, tensor<?x64xf32, #recur.dims<batch | "64">>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::rondo::chunk::ChunkDialect", "::rondo::recur::RecurDialect"];
}

def LowerScanCuda : Pass<"lower-scan-cuda", "::mlir::ModuleOp"> {
  let summary = "scans to kernels for NVIDIA GPUs: blocks over tasks, threads over the elements of a step";
  let description = [{
    As `lower-scan` of the CPU target: each scan of the model's function becomes a kernel over raw memory, and the function becomes the
    module attribute `rondo.program`. A task is a block. A `chunk.scan` gets kernels on matrix instructions, where it has such, beside the
    one that goes by steps: a call takes one or the other. Where threads own the elements that they update, those stay in registers over
    all steps; what threads share lies in shared memory, and what does not fit there in device memory.

    Requires: static step types and chosen element types (`bind-sizes`, `set-precision`). Ensures: func, scf, arith, math, memref, NVVM
    and LLVM pointer operations only; nothing is allocated.
    Declines, with an error that says what is missing: more than two scanned axes, kernels with more arguments than a launch can pass.
    Cost: linear in the step, times what is written out for registers (at most 128 iterations of a nest).

    ```mlir
    // rondo-opt --lower-scan-cuda
    func.func @decay(%x: tensor<?x?x8xf32, #recur.dims<batch, time | "8">> {recur.name = "x", recur.kind = "input"},
                     %h0: tensor<?x8xf32, #recur.dims<batch | "8">> {recur.name = "h", recur.kind = "init"})
        -> (tensor<?x?x8xf32, #recur.dims<batch, time | "8">> {recur.name = "y", recur.kind = "output"},
            tensor<?x8xf32, #recur.dims<batch | "8">> {recur.name = "h", recur.kind = "final"}) {
      %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%x : tensor<?x?x8xf32, #recur.dims<batch, time | "8">>) inits(%h0 : tensor<?x8xf32, #recur.dims<batch | "8">>) {
      ^bb0(%xt: tensor<8xf32, #recur.dims<| "8">>, %h: tensor<8xf32, #recur.dims<| "8">>):
        %n = recur.map add(%xt, %h) : (tensor<8xf32, #recur.dims<| "8">>, tensor<8xf32, #recur.dims<| "8">>) -> tensor<8xf32, #recur.dims<| "8">>
        recur.yield states(%n : tensor<8xf32, #recur.dims<| "8">>) outputs(%n : tensor<8xf32, #recur.dims<| "8">>)
      } : tensor<?x?x8xf32, #recur.dims<batch, time | "8">>, tensor<?x8xf32, #recur.dims<batch | "8">>
      return %y, %hT : tensor<?x?x8xf32, #recur.dims<batch, time | "8">>, tensor<?x8xf32, #recur.dims<batch | "8">>
    }
    ```
  }];
  let options = [Option<"arch", "arch", "std::string", "\"sm_80\"", "the GPU: sm_80, sm_89, sm_90a, ...">,
                 Option<"form", "form", "std::string", "\"auto\"", "auto, step, scan or chunk. step: nothing but single steps; chunk, scan: calls that chunks or segments can take do not go by steps">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect",
                           "::mlir::scf::SCFDialect"];
}

def ExpandTrig : Pass<"expand-trig", "::mlir::func::FuncOp"> {
  let summary = "sin, cos, erf, atan2, pow, and exp and tanh in f32, as arithmetic, for targets without a math library";
  let description = [{
    FDLIBM's polynomials. The argument of sin and cos is reduced by pi/2 in three parts with fused multiply-adds, in f64 also for f32, so
    that arguments up to 1e5 keep their digits; f32 erf, atan2 and pow are computed in f64. pow is exp(y log x), which loses digits in f64 where
    |y log x| is large.

    Requires: scalars. Ensures: no math.sin, math.cos, math.erf, math.atan2 or math.powf on f32 and f64; `expand-math` takes the exponentials
    and logarithms that are left.
    Declines: nothing.
    Cost: linear in the operations.

    ```mlir
    // rondo-opt --expand-trig
    func.func @wave(%x: f64) -> f64 {
      %y = math.sin %x : f64
      return %y : f64
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect"];
}
#endif
