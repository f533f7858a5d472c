// Types, attributes and places of imported models.
#include "frontend/ImportBuilder.h"

using namespace mlir;

namespace rondo::frontend {

ImportTypes::ImportTypes(const TypedModel &model, const SourceManager &sources, MLIRContext &context)
    : model(model), sources(sources), context(context) {}

RankedTensorType ImportTypes::array(const ValueType &type, ArrayRef<std::string> axes, int64_t lag) const {
  SmallVector<StringAttr> axisNames, names;
  SmallVector<int64_t> sizes;
  for (const std::string &axis : axes) {
    axisNames.push_back(StringAttr::get(&context, axis));
    sizes.push_back(axis == "lag" ? lag : ShapedType::kDynamic);
  }
  for (const DimExpr &size : type.shape) {
    names.push_back(StringAttr::get(&context, size.str()));
    sizes.push_back(size.asConstant().value_or(ShapedType::kDynamic));
  }
  Type element = Float64Type::get(&context);
  if (type.elem == Elem::Complex)
    element = ComplexType::get(element);
  if (type.elem == Elem::Truth)
    element = IntegerType::get(&context, 1);
  return RankedTensorType::get(sizes, element, recur::DimsAttr::get(&context, axisNames, names));
}

RankedTensorType ImportTypes::tensor(const TensorDecl &decl) const {
  SmallVector<std::string> axes;
  if (decl.kind == TensorKind::Input) {
    axes.push_back("batch");
    for (unsigned axis = 0; axis < model.axes.size(); ++axis)
      axes.push_back(recur::timeAxisName(axis));
  }
  if (decl.sharing == Sharing::PerGroup)
    axes.push_back("group");
  else if (decl.kind == TensorKind::Input ? hasHead(decl.perHead) : decl.sharing == Sharing::PerHead)
    axes.push_back("head");
  return array(decl.type, axes);
}

RankedTensorType ImportTypes::init(const State &state) const {
  SmallVector<std::string> axes = {"batch"};
  int64_t lag = ShapedType::kDynamic;
  if (model.axes.size() == 1) {
    auto depth = state.depth();
    if (!depth || *depth > 1)
      axes.push_back("lag");
    lag = depth.value_or(ShapedType::kDynamic);
  }
  if (hasHead(state.perHead))
    axes.push_back("head");
  return array(state.type, axes, lag);
}

RankedTensorType ImportTypes::output(const ValueType &type, const Scan &scan) const {
  SmallVector<std::string> axes = {"batch"};
  for (unsigned axis = 0; axis < model.axes.size(); ++axis)
    axes.push_back(recur::timeAxisName(axis));
  if (hasHead(scan.perHead))
    axes.push_back("head");
  return array(type, axes);
}

RankedTensorType ImportTypes::final(const State &state, unsigned finalAxis) const {
  if (model.axes.size() == 1)
    return init(state);
  SmallVector<std::string> axes = {"batch"};
  for (unsigned axis = 0; axis < model.axes.size(); ++axis)
    if (axis != finalAxis)
      axes.push_back(recur::timeAxisName(axis));
  if (hasHead(state.perHead))
    axes.push_back("head");
  return array(state.type, axes);
}

Attribute ImportTypes::stateAttr(const State &state, SmallVectorImpl<std::string> &lags) const {
  SmallVector<DenseI64ArrayAttr> reads;
  for (const Read &read : state.reads) {
    SmallVector<int64_t> distances;
    for (const DimExpr &distance : read) {
      auto fixed = distance.asConstant();
      if (!fixed) {
        auto known = llvm::find(lags, distance.str());
        fixed = -1 - (known - lags.begin());
        if (known == lags.end())
          lags.push_back(distance.str());
      }
      distances.push_back(*fixed);
    }
    reads.push_back(DenseI64ArrayAttr::get(&context, distances));
  }
  return recur::StateAttr::get(&context, StringAttr::get(&context, state.name), reads);
}

Attribute ImportTypes::axisAttr(unsigned axis, bool reverse) const {
  return recur::AxisAttr::get(&context, StringAttr::get(&context, model.axes[axis]), reverse);
}

Location ImportTypes::place(Span span) const {
  LineColumn at = sources.position(span.file, span.begin);
  return FileLineColLoc::get(&context, sources.name(span.file), at.line, at.column);
}

Location ImportTypes::place(Span span, StringRef name) const {
  return NameLoc::get(StringAttr::get(&context, name), place(span));
}

} // namespace rondo::frontend
