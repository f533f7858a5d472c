// chunk.scan to one kernel: matrix instructions, the state in registers from the first chunk to the last.
#pragma once
#include "compiler/Target/CUDA/TilePlan.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/ADT/SmallBitVector.h"

namespace rondo::cuda {

/// How a kernel is called. Operands, in order: the scan's inputs, parameters, initial values and results, all in global memory.
///
/// - Contiguous: a gpu.func; one pointer per operand, then as i32 the number of steps T, of heads H (1 where there are none) and of groups G
///   (H where there are none). Grid: valueBlocks x heads x batch.
/// - Strided: a func.func, as the runtime calls kernels; per operand a pointer and five strides in elements (batch, time, time1, head,
///   lag), then as i64 batch, time, time1, heads, heads per group, then a pointer to a workspace, which segments use. Grid: one axis; of a
///   block's number the part of the value axis is innermost, then the head, if an operand has heads, then the batch entry.
///
/// Rows of staged inputs and of outputs start at multiples of 16 bytes: who calls a strided kernel asks for that first
/// (`alignedOperands`). There is at least one step.
enum class Calling { Contiguous, Strided };

struct KernelLaunch {
  std::string name;
  int64_t valueBlocks;
  int64_t threads;
  int64_t sharedBytes; // dynamic
};

/// Which steps a kernel takes. Segments of a long sequence make blocks where heads are few: `Ends` computes, from states that begin
/// as zeros, what each segment adds to the states and by what it decays them; `emitLinkKernel` makes of these the states that
/// segments begin with; `Within` computes each segment's outputs from there.
///
/// A state with a transition (`hasTransition`) is not decayed by a segment, but multiplied by a matrix [keys x keys]: what the segment makes of
/// the identity where the values that enter are zeros. Each block of `Ends` has columns of that matrix beside its own of the state
/// (`TilePlan::transitionTiles`), or, without such, there are blocks for the columns of that matrix behind those for the state's, which store
/// nothing of states without a transition.
///
/// The kernels of segments have one more pair of arguments per state before T, H, G: scratch f32 [B, P, H, state] for states and f32
/// [B, P, H, keys, or values, or 1] for decays; and two more behind: the steps of a segment (a multiple of the chunk), and P, the number of
/// segments. Their grid is valueBlocks x heads x (batch * P). Strided, their scratch is the workspace, `segmentBytes` for each of [B, P, H],
/// and two more arguments stand behind it, as i64; in their grid the segment stands between the head and the batch entry.
enum class Part { Whole, Ends, Within, Link };

constexpr int64_t kLinkThreads = 256;
constexpr int64_t kLinkElements = 4; // of a thread
/// Columns of a state that a block links where there is a transition.
constexpr int64_t kLinkColumns = 16;

/// Bytes of the workspace that one segment of one head needs.
int64_t segmentBytes(const TileProgram &program);

/// Positions among a scan's operands and results of those whose rows a kernel reads or writes 16 bytes at a time.
llvm::SmallVector<int> alignedOperands(const TileProgram &program);

/// Emits the kernel of `program` at the end of `module`, a gpu.module or a module. `whyNot(program, plan)` is empty. For `Ends` it is a
/// program without outputs. Segments are contiguous.
KernelLaunch emitChunkKernel(const TileProgram &program, const TilePlan &plan, mlir::Operation *module,
                             llvm::StringRef name, Part part = Part::Whole, Calling calling = Calling::Contiguous);

/// Why segments of a program cannot be computed apart; empty where they can: each of its states decays, and takes in products that no other state
/// is read for; or has a transition over the keys alone, and what enters is zero where the inputs along the value axis are.
std::string whyNoSegments(const TileProgram &program);
/// What is linked from segment to segment: the states, then those that are vectors.
size_t segmentItems(const TileProgram &program);
/// Whether what enters a state is read of itself; of an item that is a vector, never. And whether some state is like that.
bool hasTransition(const TileProgram &program, size_t item);
bool hasTransition(const TileProgram &program);
/// The keys that transitions mix, the same of all states that have one.
int64_t transitionKeys(const TileProgram &program);
/// The items whose states a value of the chunk is computed from.
llvm::SmallBitVector itemsReadBy(const TileProgram &program, mlir::Value value);

/// Emits the kernel that links segments for one state that is no vector. Arguments: initial states [B, H, state], scratch of states (ends come in, beginnings
/// go out), scratch of decays, final states, H, P. Grid: valueBlocks x heads x batch.
KernelLaunch emitLinkKernel(const TileProgram &program, unsigned state, mlir::gpu::GPUModuleOp module,
                            llvm::StringRef name);
/// The same as the runtime calls kernels, for one of `segmentItems`. `valueBlocks` counts the blocks of a head.
KernelLaunch emitStridedLink(const TileProgram &program, const TilePlan &plan, unsigned state, mlir::Operation *module,
                             llvm::StringRef name);

/// Whether a block works on one head: an operand has heads, or groups of them.
bool hasHeads(const TileProgram &program);

} // namespace rondo::cuda
