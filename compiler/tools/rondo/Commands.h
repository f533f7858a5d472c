// The subcommands of `rondo`. Each declares its options and leaves its exit status in `status` when it is the one that was asked for:
// 0 all is well, 1 the user's error or a failed verification. Wrong usage ends in CLI11's parse with 2.
#pragma once
#include <CLI/CLI.hpp>

namespace rondo::tool {

void addCheck(CLI::App &app, int &status);
void addRun(CLI::App &app, int &status);
void addCompile(CLI::App &app, int &status);
void addVerify(CLI::App &app, int &status);
void addExplain(CLI::App &app, int &status);
void addBench(CLI::App &app, int &status);
void addList(CLI::App &app, int &status);
void addCache(CLI::App &app, int &status);
void addTune(CLI::App &app, int &status);
/// `rondo tune db`.
void addTuneDatabase(CLI::App &tune, int &status);

} // namespace rondo::tool
