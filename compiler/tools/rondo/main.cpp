// `rondo`, the command line. A client of the public API only: what it can do, an application can.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Terminal.h"
#include <algorithm>
#include <exception>

namespace {

constexpr const char *examples = R"(Examples:
  rondo list                                          the example specs
  rondo check my_cell.rondo                           find its mistakes
  rondo explain gla                                   what it takes and gives, and what was found in it
  rondo run gla --inputs in.safetensors --out out.npz --compare reference
  rondo run gla --dim K=64 V=64 --random 1,B=2,T=128,H=4
  rondo compile gla --emit recur                      the IR after import; --emit asm needs --dim
  rondo verify gla deltanet                           kernels against the reference interpreter
  rondo tune gla --dim K=64 V=64 --random 1,T=4096    find the fastest plan, and remember it
  rondo bench gla --dim K=64 V=64 --random 1,B=1,T=2048,H=16 --threads 2 --json

'rondo COMMAND --help' tells more. Exit status: 0 done, 1 an error or a failed verification, 2 wrong usage.)";

} // namespace

int main(int argc, char **argv) {
  using namespace rondo::tool;
  CLI::App app("Rondo compiles sequence-model recurrences, written as in the paper, to kernels.", "rondo");
  app.set_version_flag("--version", "rondo " RONDO_VERSION);
  app.require_subcommand(1);
  app.footer(examples);
  int status = 0;
  addCheck(app, status);
  addRun(app, status);
  addCompile(app, status);
  addVerify(app, status);
  addExplain(app, status);
  addBench(app, status);
  addList(app, status);
  addCache(app, status);
  addTune(app, status);
  try {
    std::vector<std::string> words = joinDims(argc, argv);
    std::reverse(words.begin(), words.end()); // what CLI11 wants of a vector
    app.parse(words);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception &exception) {
    return fail(std::string("internal error: ") + exception.what());
  }
  return status;
}
