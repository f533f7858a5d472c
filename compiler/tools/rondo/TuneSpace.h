// The plans that `rondo tune` chooses from.
#pragma once
#include "rondo/Engine.h"
#include "rondo/Search.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rondo::tool {

/// Plans for all recurrences of a model at once. Where their combinations are too many, those that differ from the compiler's own choice in
/// one recurrence: recurrences run one after another, so that the fastest of each can be found alone.
struct TuneSpace {
  std::vector<tune::Candidate> candidates;
  struct Change {
    std::string recurrence; // "d_S.2"
    std::string plan;       // "d_S.2: <form = step, ...>"
  };
  std::map<std::string, Change> changes; // by the candidate's plan; empty where the combinations are all there
  std::vector<std::string> usual;        // the compiler's own choice for each recurrence
};

/// `hasFewTasks`: calls have fewer tasks than threads, and may be cut into segments of time.
TuneSpace tuneSpace(const ModelInfo &info, bool hasFewTasks);

/// What was faster than the default beyond noise for one recurrence alone, for all such together; nothing for fewer than two.
std::optional<tune::Candidate> fastestOfEach(const TuneSpace &space, const std::vector<tune::Trial> &trials,
                                             const std::string &defaultPlan);

} // namespace rondo::tool
