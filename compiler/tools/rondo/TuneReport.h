// What a search found, as a page that opens without network.
#pragma once
#include "compiler/tools/rondo/HostCeilings.h"
#include "rondo/Search.h"
#include <string>
#include <vector>

namespace rondo::tool {

/// One kernel of the fastest plan: the tensors that it reads and writes, and its part of a call's time.
struct Stage {
  std::string name;
  double bytes = 0, seconds = 0;
};

struct TuneSummary {
  std::string title;  // the model, its sizes and types
  std::string call;   // "B=1 T=4096 H=16", and the device
  std::string chosen; // the plan that was recorded
  std::string defaultPlan;
  double bytes = 0; // that a call reads and writes
  double operations =
      0;             // multiplications and additions of a call's products, by the default plan; 0 where there are none
  Ceilings ceilings; // of the machine; 0 where they are not known
  std::vector<Stage> stages;       // in the order of a call; empty where they are not known
  std::vector<tune::Trial> trials; // as a search gives them
  size_t space = 0;                // plans that can be followed
  double seconds = 0;
  size_t compiled = 0;
  bool ended = false;
};

std::string tuneReport(const TuneSummary &summary);

/// The trial of a plan; null where it was not tried.
const tune::Trial *trialOf(const TuneSummary &summary, const std::string &plan);

} // namespace rondo::tool
