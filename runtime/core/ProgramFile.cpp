// Programs as JSON values. See ProgramFile.h. Every struct is taken apart by structured bindings, so that a field that is added to
// Program.h does not compile here before somebody has decided whether it belongs into a file. A change to what is written is a change of
// kFormat in Artifact.cpp.
#include "runtime/core/ProgramFile.h"
#include <fmt/format.h>

namespace rondo::core {
namespace {

using Json = nlohmann::json;

Json axisToJson(const AxisSpec &spec) {
  const auto &[axis, size, name, steps] = spec;
  return {{"axis", int(axis)}, {"size", size}, {"name", name}, {"steps", steps}};
}

Json tensorToJson(const TensorSpec &spec) {
  const auto &[name, kind, type, axes, lo, hi, hasInterval, loOpen, hiOpen, recurrent, defaultValue] = spec;
  Json written{{"name", name},
               {"kind", int(kind)},
               {"type", nameOf(type)},
               {"lo", lo},
               {"hi", hi},
               {"interval", hasInterval},
               {"lo_open", loOpen},
               {"hi_open", hiOpen},
               {"recurrent", recurrent},
               {"default", defaultValue},
               {"axes", Json::array()}};
  for (const AxisSpec &axis : axes)
    written["axes"].push_back(axisToJson(axis));
  return written;
}

Json teamToJson(const TeamKernel &team) { return {{"symbol", team.symbol}, {"scratch_bytes", team.scratchBytes}}; }

Json segmentsToJson(const SegmentKernel &kernel) {
  return {{"kernel", teamToJson(kernel)},
          {"segment_bytes", kernel.segmentBytes},
          {"count", kernel.count},
          {"multiple", kernel.multiple},
          {"costs", {kernel.again, kernel.join, kernel.step}}};
}

Json launchToJson(const Launch &launch) {
  const auto &[symbol, function, operands, batchTile, perBatch, perHead, packed, splits, splitSymbol, splitFunction,
               team, rowTeam, segments, timeBlock, scratchBytes, threads, sharedBytes, cooperative, cluster, choice,
               way, mostSteps, early, aligned, cost, segmentBytes, perSegment, image] = launch;
  (void)function, (void)splitFunction; // of a process
  return {{"symbol", symbol},
          {"operands", operands},
          {"batch_tile", batchTile},
          {"per_batch", perBatch},
          {"per_head", perHead},
          {"packed", packed},
          {"splits", splits},
          {"split_symbol", splitSymbol},
          {"time_block", timeBlock},
          {"scratch_bytes", scratchBytes},
          {"threads", threads},
          {"shared_bytes", sharedBytes},
          {"team", teamToJson(team)},
          {"row_team", teamToJson(rowTeam)},
          {"segments", segmentsToJson(segments)},
          {"cooperative", cooperative},
          {"cluster", cluster},
          {"choice", choice},
          {"way", way},
          {"most_steps", mostSteps},
          {"early", early},
          {"aligned", aligned},
          {"cost", {cost.steps, cost.alone, cost.shared, cost.fixed}},
          {"segment_bytes", segmentBytes},
          {"per_segment", perSegment},
          {"image", image}};
}

AxisSpec axisFrom(const Json &json) {
  return {Axis(json.at("axis").get<int>()), json.at("size").get<int64_t>(), json.at("name").get<std::string>(),
          json.at("steps").get<int64_t>()};
}

TensorSpec tensorFrom(const Json &json) {
  TensorSpec spec;
  spec.name = json.at("name").get<std::string>();
  spec.kind = TensorKind(json.at("kind").get<int>());
  if (!parseDType(json.at("type").get<std::string>(), spec.type))
    throw std::out_of_range("an element type");
  for (const Json &axis : json.at("axes"))
    spec.axes.push_back(axisFrom(axis));
  json.at("lo").get_to(spec.lo);
  json.at("hi").get_to(spec.hi);
  json.at("interval").get_to(spec.hasInterval);
  json.at("lo_open").get_to(spec.loOpen);
  json.at("hi_open").get_to(spec.hiOpen);
  json.at("recurrent").get_to(spec.recurrent);
  json.at("default").get_to(spec.defaultValue);
  return spec;
}

TeamKernel teamFrom(const Json &json) {
  return {json.at("symbol").get<std::string>(), nullptr, json.at("scratch_bytes").get<size_t>()};
}

SegmentKernel segmentsFrom(const Json &json) {
  SegmentKernel kernel;
  static_cast<TeamKernel &>(kernel) = teamFrom(json.at("kernel"));
  json.at("segment_bytes").get_to(kernel.segmentBytes);
  json.at("count").get_to(kernel.count);
  json.at("multiple").get_to(kernel.multiple);
  const Json &costs = json.at("costs");
  kernel.again = costs.at(0).get<double>();
  kernel.join = costs.at(1).get<double>();
  kernel.step = costs.at(2).get<double>();
  return kernel;
}

Launch launchFrom(const Json &json) {
  Launch launch;
  json.at("symbol").get_to(launch.symbol);
  json.at("operands").get_to(launch.operands);
  json.at("batch_tile").get_to(launch.batchTile);
  json.at("per_batch").get_to(launch.perBatch);
  json.at("per_head").get_to(launch.perHead);
  json.at("packed").get_to(launch.packed);
  json.at("splits").get_to(launch.splits);
  json.at("split_symbol").get_to(launch.splitSymbol);
  json.at("time_block").get_to(launch.timeBlock);
  json.at("scratch_bytes").get_to(launch.scratchBytes);
  json.at("threads").get_to(launch.threads);
  json.at("shared_bytes").get_to(launch.sharedBytes);
  launch.team = teamFrom(json.at("team"));
  launch.rowTeam = teamFrom(json.at("row_team"));
  launch.segments = segmentsFrom(json.at("segments"));
  json.at("cooperative").get_to(launch.cooperative);
  json.at("cluster").get_to(launch.cluster);
  json.at("choice").get_to(launch.choice);
  json.at("way").get_to(launch.way);
  json.at("most_steps").get_to(launch.mostSteps);
  launch.early = json.value("early", false); // older files do not say
  json.at("aligned").get_to(launch.aligned);
  const Json &cost = json.at("cost");
  launch.cost = {cost.at(0).get<int64_t>(), cost.at(1).get<double>(), cost.at(2).get<double>(),
                 cost.at(3).get<double>()};
  json.at("segment_bytes").get_to(launch.segmentBytes);
  json.at("per_segment").get_to(launch.perSegment);
  json.at("image").get_to(launch.image);
  return launch;
}

bool isSound(const TensorSpec &spec) {
  if (spec.kind > TensorKind::Temporary || spec.defaultValue.empty())
    return false;
  for (const AxisSpec &axis : spec.axes)
    if (axis.axis > Axis::Named || axis.size < -1 || axis.steps < 1)
      return false;
  return true;
}

bool isSound(const Launch &launch, size_t tensors) {
  for (const int operand : launch.operands)
    if (operand < 0 || size_t(operand) >= tensors)
      return false;
  for (const int position : launch.aligned)
    if (position < 0 || size_t(position) >= launch.operands.size())
      return false;
  return launch.segments.multiple >= 1 && launch.segments.count >= 0 && launch.batchTile >= 1 && launch.splits >= 1 &&
         launch.timeBlock >= 0 && launch.threads >= 0;
}

bool isSound(const Program &program) {
  const size_t tensors = program.tensors.size();
  bool sound = program.alias.size() == tensors;
  for (const TensorSpec &spec : program.tensors)
    sound = sound && isSound(spec);
  for (const Launch &launch : program.launches)
    sound = sound && isSound(launch, tensors);
  for (size_t i = 0; i < program.alias.size(); ++i)
    sound = sound && program.alias[i] >= -1 && program.alias[i] < int(tensors) && program.alias[i] != int(i);
  return sound;
}

} // namespace

Json toJson(const Program &program) {
  const auto &[model, tensors, launches, alias, hasHeads, checkIntervals, host, code, image, device] = program;
  (void)host, (void)code, (void)image, (void)device; // of a process
  Json written{{"model", model},           {"alias", alias},
               {"heads", hasHeads},        {"check_intervals", checkIntervals},
               {"tensors", Json::array()}, {"launches", Json::array()}};
  for (const TensorSpec &spec : tensors)
    written["tensors"].push_back(tensorToJson(spec));
  for (const Launch &launch : launches)
    written["launches"].push_back(launchToJson(launch));
  return written;
}

Result<Program> programFromJson(const Json &json) try {
  Program program;
  json.at("model").get_to(program.model);
  json.at("alias").get_to(program.alias);
  json.at("heads").get_to(program.hasHeads);
  json.at("check_intervals").get_to(program.checkIntervals);
  for (const Json &spec : json.at("tensors"))
    program.tensors.push_back(tensorFrom(spec));
  for (const Json &launch : json.at("launches"))
    program.launches.push_back(launchFrom(launch));
  if (!isSound(program))
    return Error("the description of the program contradicts itself");
  return program;
} catch (const std::exception &exception) { // nlohmann's own, and std::out_of_range
  return Error(fmt::format("no description of a program: {}", exception.what()));
}

} // namespace rondo::core
