#ifndef RONDO_TARGET_CPU_PASSES
#define RONDO_TARGET_CPU_PASSES
include "mlir/Pass/PassBase.td"

def ChooseSchedule : Pass<"choose-schedule", "::mlir::ModuleOp"> {
  let summary = "scans whose threads can share out nothing else are cut into segments of time";
  let description = [{
    A call with fewer tasks (rows of the batch times heads) than threads shares out an axis of the values, where there is one that
    lower-scan can cut. Where there is none, or too few blocks of it for the threads of the machine, the schedule becomes `segment`, and
    the attribute `chunk.schedule_because` says why. The number of segments is left to the call, which takes none where it has tasks enough,
    and none where its sequence is too short.

    Requires: plans (`choose-plans`). Ensures: forms and chunks stay as they are; the schedule of scans that decline stays `carry`.
    Declines: scans that are asked to take steps, or to follow a schedule; scans that cannot be cut (resets, packed sequences), whose segments have a map that costs more than it gains (a
    transition between keys, for less than 4 threads), or whose decays are not known to lie in [-1, 1].
    Cost: one step of each scan, built and thrown away.

    ```mlir
    // rondo-opt --choose-plans --choose-schedule="threads=2"
    func.func @average(%x: tensor<?x?x4xf32, #recur.dims<batch, time | "4">>, %h0: tensor<?x4xf32, #recur.dims<batch | "4">>)
        -> (tensor<?x?x4xf32, #recur.dims<batch, time | "4">>, tensor<?x4xf32, #recur.dims<batch | "4">>) {
      %y, %h = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%x : tensor<?x?x4xf32, #recur.dims<batch, time | "4">>) inits(%h0 : tensor<?x4xf32, #recur.dims<batch | "4">>)
          semiring plus_times coefficients {
      ^bb0(%xt: tensor<4xf32, #recur.dims<| "4">>):
        %a = arith.constant dense<0.9> : tensor<4xf32, #recur.dims<| "4">>
        recur.coefficients decays(%a : tensor<4xf32, #recur.dims<| "4">>) values(%xt : tensor<4xf32, #recur.dims<| "4">>)
      } readout {
      ^bb0(%xt: tensor<4xf32, #recur.dims<| "4">>, %new: tensor<4xf32, #recur.dims<| "4">>, %old: tensor<4xf32, #recur.dims<| "4">>):
        recur.yield outputs(%new : tensor<4xf32, #recur.dims<| "4">>)
      } : tensor<?x?x4xf32, #recur.dims<batch, time | "4">>, tensor<?x4xf32, #recur.dims<batch | "4">>
      return %y, %h : tensor<?x?x4xf32, #recur.dims<batch, time | "4">>, tensor<?x4xf32, #recur.dims<batch | "4">>
    }
    ```
  }];
  let options = [
    Option<"threads", "threads", "int64_t", "1", "of the machine">,
    Option<"form", "form", "std::string", "\"auto\"", "what is asked of all scans: those asked to take steps are not cut">,
    Option<"plan", "plan", "std::string", "", "what is asked of plans, as of choose-plans">
  ];
  let dependentDialects = ["::rondo::chunk::ChunkDialect"];
}

def LowerScan : Pass<"lower-scan", "::mlir::ModuleOp"> {
  let summary = "scans to CPU kernels: loops over tasks and steps, vectors inside";
  let description = [{
    Each `recur.scan` and `chunk.scan` of the model's function becomes a kernel function over raw memory, and the function itself becomes the module
    attribute `rondo.program`: the tensors of the model and the launches in order. A step's values are stored or recomputed by cost, and
    values over one iteration space are computed in one sweep, so that a matrix state is read and written once per step.

    With `splits` above 1, a launch whose step is independent along an axis gets a second kernel, in which a task is a block of it.

    Requires: static step types and chosen element types (`bind-sizes`, `set-precision`). Ensures: func, scf, arith, math, memref,
    vector and LLVM pointer operations only; nothing is allocated.
    Declines, with an error that says what is missing: more than two scanned axes.
    Cost: linear in the step, times the unrolling of register tiles.

    ```mlir
    // rondo-opt --lower-scan
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
  let options = [Option<"vectorBits", "vector-bits", "int64_t", "256", "width of the target's vector registers">,
                 Option<"splits", "splits", "int64_t", "1",
                        "blocks at most that tasks cut an axis into where a call has fewer tasks than threads; 1: never">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def LowerToLLVM : Pass<"lower-to-llvm", "::mlir::ModuleOp"> {
  let summary = "kernels to the LLVM dialect";
  let description = [{
    Arithmetic, functions, branches, memory and vectors of one axis, in one conversion.

    Requires: kernels (`lower-scan`) whose loops are branches (`convert-scf-to-cf`). Ensures: operations of the LLVM dialect only. Functions
    that LLVM has no intrinsic for are calls of the C library's.
    Declines: vectors of more than one axis.
    Cost: linear in the kernels.

    ```mlir
    // rondo-opt --lower-to-llvm
    func.func @add(%x: vector<8xf32>, %y: vector<8xf32>) -> vector<8xf32> {
      %s = arith.addf %x, %y : vector<8xf32>
      return %s : vector<8xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::func::FuncDialect"];
}
#endif
