// Which params multiply a state: random tests draw them with a bounded spectral radius, so that a recurrence does not explode.
#include "frontend/SemaModel.h"

namespace rondo::frontend {

/// The param that a value is, but for its shape and sign; empty when it is computed from more.
static std::optional<uint32_t> paramBehind(const TypedModel &model, ValueId id) {
  while (true) {
    const Value &value = model.value(id);
    switch (value.kind) {
    case ValueKind::Param:
      return value.index;
    case ValueKind::Slice:
    case ValueKind::Cast:
    case ValueKind::Split:
    case ValueKind::Merge:
    case ValueKind::Contract:
      if (value.operands.size() != 1)
        return std::nullopt;
      id = value.operands[0];
      break;
    case ValueKind::Map:
      if (value.fn != MapFn::Neg)
        return std::nullopt;
      id = value.operands[0];
      break;
    default:
      return std::nullopt;
    }
  }
}

void markRecurrent(TypedModel &model) {
  // Operands have smaller numbers than their users: one walk up, one walk down.
  std::vector<bool> readsState(model.values.size()), feedsState(model.values.size());
  for (ValueId id = 0; id < model.values.size(); ++id) {
    readsState[id] = model.value(id).kind == ValueKind::StateRead;
    for (ValueId operand : model.value(id).operands)
      readsState[id] = readsState[id] || readsState[operand];
  }
  for (const State &state : model.states)
    feedsState[state.update] = true;
  for (ValueId id = ValueId(model.values.size()); id-- > 0;) {
    const Value &value = model.value(id);
    if (!feedsState[id])
      continue;
    for (ValueId operand : value.operands)
      feedsState[operand] = true;
    bool product = value.kind == ValueKind::Contract || (value.kind == ValueKind::Map && value.fn == MapFn::Mul);
    if (!product || !readsState[id])
      continue;
    for (ValueId operand : value.operands)
      if (auto param = paramBehind(model, operand))
        model.tensors[*param].recurrent = true;
  }
}

} // namespace rondo::frontend
