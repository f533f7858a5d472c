// See Cases.h.
#include "compiler/tools/rondo/Cases.h"

namespace rondo::tool {

std::string Case::name() const {
  std::string text = form + (chunk ? std::to_string(chunk) : "");
  return text + (segments ? "/" + std::to_string(segments) : "") + (packed ? " packed" : resets ? " resets" : "");
}

std::vector<int64_t> smallDims() { return {7, 5, 3, 9, 11, 13, 15}; }

std::vector<Case> standardCases() {
  return {
      {smallDims(), {3, 1, 3, 3, 1}, Inits::Drawn},               // decoding
      {smallDims(), {2, 17, 5, 1, 1}, Inits::Default},            // a prime, one head
      {{19, 33, 5, 3, 9, 11, 7}, {3, 67, 7, 3, 1}, Inits::Drawn}, // a longer prime, beyond the vectors' widths
  };
}

std::vector<Case> derivativeCases() {
  return {{smallDims(), {2, 17, 5, 1, 1}, Inits::Drawn, false, false, "step", 0, true},
          {{19, 33, 5, 3, 9, 11, 7}, {3, 37, 7, 3, 1}, Inits::Drawn}};
}

std::vector<Case> longCases() {
  return {{{8, 7, 3, 5, 4, 3, 2}, {5, 4096, 64, 1, 1}, Inits::Drawn, false, false, "step"}};
}

std::vector<Case> chunkCases() {
  return {{smallDims(), {2, 17, 5, 1, 1}, Inits::Default, false, false, "chunk", 5},
          {{19, 33, 5, 3, 9, 11, 7}, {3, 67, 7, 3, 1}, Inits::Drawn, false, false, "chunk", 16},
          {smallDims(), {2, 31, 1, 2, 1}, Inits::Drawn, true, false, "chunk", 8},
          {smallDims(), {1, 43, 1, 3, 1, 5}, Inits::Drawn, true, true, "chunk", 4}};
}

Case attentionCase() { return {smallDims(), {2, 13, 5, 3, 1}, Inits::Drawn, false, false, "attention", 13}; }

std::vector<Case> segmentCases(bool chunks) {
  std::vector<Case> all(5);
  all[0] = {smallDims(), {2, 17, 5, 1, 1}, Inits::Default};
  all[0].segments = 4;
  all[1] = {smallDims(), {3, 1, 3, 3, 1}, Inits::Drawn};
  all[1].segments = 2;
  all[2] = {{19, 33, 5, 3, 9, 11, 7}, {3, 67, 7, 3, 1}, Inits::Drawn};
  all[2].segments = 3;
  all[3] = {smallDims(), {3, 29, 1, 2, 1}, Inits::Drawn, true};
  all[3].segments = 3;
  all[4] = {smallDims(), {1, 43, 1, 3, 1, 5}, Inits::Drawn, true, true};
  all[4].segments = 2;
  if (!chunks)
    return all;
  for (size_t i = 2; i < all.size(); ++i)
    all[i].form = "chunk";
  all[2].chunk = 16;
  all[3].chunk = all[4].chunk = 4;
  return all;
}

std::vector<Case> tileCases() {
  return {{{32, 64, 16, 32, 64}, {2, 1, 1, 3, 1}, Inits::Drawn, false, false, "chunk", 0, false, false, true},
          {{16, 32, 64, 16, 32}, {2, 17, 1, 1, 1}, Inits::Default, false, false, "chunk", 0, false, false, true},
          {{64, 32, 32, 64, 16}, {3, 131, 1, 3, 1}, Inits::Drawn, false, false, "chunk", 0, false, false, true},
          {{32, 32, 64, 16, 64}, {1, 1111, 1, 1, 1}, Inits::Drawn, false, false, "auto", 0, false, false, true}};
}

std::vector<Case> scanCases() {
  return {{smallDims(), {2, 1, 1, 3, 1}, Inits::Default, false, false, "scan", 0, false, false, true},
          {{66, 34, 5, 3, 9}, {2, 1301, 1, 2, 1}, Inits::Drawn, false, false, "scan", 0, false, false, true},
          {{5, 3, 9, 7, 11}, {1, 4999, 1, 1, 1}, Inits::Drawn, false, false, "scan", 0, false, false, true}};
}

std::vector<Case> cellCases(bool derivative) {
  std::vector<Case> all{
      {smallDims(), {11, 9, 1, 2, 1}, Inits::Drawn, false, false, "auto", 0, false, true},
      {{128, 72, 56, 40, 24}, {9, 13, 1, 2, 1}, Inits::Drawn, false, false, "auto", 0, false, true},
      {{544, 528, 40, 24, 16}, {3, 7, 1, 1, 1}, Inits::Default, false, false, "auto", 0, false, true}};
  if (derivative) // of which the reference takes ten times as long
    all.back().shape = {2, 3, 1, 1, 1};
  return all;
}

std::vector<Case> boundaryCases() {
  return {{smallDims(), {11, 9, 1, 2, 1}, Inits::Drawn, true, false},
          {smallDims(), {1, 23, 1, 3, 1, 5}, Inits::Drawn, true, true}};
}

std::vector<Case> inBothForms(std::vector<Case> all, bool chunks, const char *chunkForm, bool differences) {
  const size_t count = all.size();
  for (size_t i = 0; i < count; ++i) {
    if (chunks)
      all.emplace_back(all[i]).form = chunkForm;
    all[i].differences = differences && all[i].form == "step";
  }
  return all;
}

} // namespace rondo::tool
