// Where the example specs lie, and how a spec is named on the command line.
#pragma once
#include <string>
#include <vector>

namespace rondo::tool {

struct Example {
  std::string name;  // the file's name without .rondo
  std::string title; // its first comment line
  std::string path;
};

/// The examples' folder: that of the installation (../share/rondo/examples beside the binary), of a source tree around the
/// binary, or of the sources that it was built from. Empty when there is none.
std::string examplesFolder();

/// Every spec below a folder, by name.
std::vector<Example> examplesIn(const std::string &folder);

/// The path of a spec: `spec` itself where it is a file or looks like a path, else the example of that name.
std::string resolveSpec(const std::string &spec);

} // namespace rondo::tool
