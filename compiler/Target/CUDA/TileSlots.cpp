// Which numbers per step a kernel hands on in shared memory: those that its reads, scores, updates and columns take. See TileProgram.h.
#include "compiler/Target/CUDA/TileProgram.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static Partial partialOf(const StepFactor &factor) {
  if (!factor.decay)
    return Partial::None;
  return factor.span == chunk::Span::Through  ? Partial::Through
         : factor.span == chunk::Span::Before ? Partial::Before
                                              : Partial::After;
}
static void addSlot(TileProgram &program, StepFactor factor, Partial partial) {
  factor.span = chunk::Span::Through;
  Slot slot{factor, partial};
  if (!factor.isOne() && program.slotOf(slot) < 0)
    program.slots.push_back(slot);
}

/// Slots for the numbers per step inside a computed tile.
static void addTermsOf(TileProgram &program, Value value) {
  if (isPerStep(value))
    return addSlot(program, StepFactor::of(value), Partial::None);
  if (Operation *op = value.getDefiningOp())
    for (Value operand : op->getOperands())
      addTermsOf(program, operand);
}

void rondo::cuda::addSlots(TileProgram &program, ArrayRef<Value> perStepInColumns) {
  for (const Read &read : program.reads)
    addSlot(program, read.query.factor, partialOf(read.query.factor));
  for (const TileState &state : program.states)
    for (const Update &update : state.updates)
      addSlot(program, update.key.factor, partialOf(update.key.factor));
  for (const Read &read : program.vectorReads)
    addSlot(program, read.query.factor, partialOf(read.query.factor));
  for (const VectorState &vector : program.vectors)
    for (const ScaledRows &rows : vector.updates)
      addSlot(program, rows.factor, partialOf(rows.factor));
  for (const Score &score : program.scores) {
    addSlot(program, score.query.factor, Partial::None); // inside a block
    addSlot(program, score.key.factor, Partial::None);
    if (!score.decay)
      continue;
    StepFactor query = score.query.factor, key = score.key.factor;
    query.decay = key.decay = score.decay;
    addSlot(program, query, score.before ? Partial::Before : Partial::Through); // between blocks
    addSlot(program, key, Partial::After);
  }
  for (Value value : perStepInColumns)
    addSlot(program, StepFactor::of(value), Partial::None);
  for (const Tile &tile : program.tiles)
    if (tile.make != Make::Staged)
      for (Value value : {tile.value, tile.decay, tile.queries})
        if (value)
          addTermsOf(program, value);
  for (Value decay : program.keyDecays)
    addTermsOf(program, decay);
}
