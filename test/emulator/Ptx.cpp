// The parser. See Ptx.h.
#include "test/emulator/Ptx.h"
#include <algorithm>
#include <cctype>
#include <charconv>
#include <fmt/format.h>
#include <optional>
#include <stdexcept>

namespace rondo::emulator {
namespace {

bool isName(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.';
}

struct Register {
  Bank bank = Bank::B32;
  uint32_t number = 0;
};

class Parser {
public:
  explicit Parser(std::string_view source) : text(source) {}

  Module parse() {
    for (skip(); at < text.size(); skip()) {
      if (take(".global")) {
        parseGlobal();
        continue;
      }
      if (!peekWord(".visible") && !peekWord(".entry")) {
        skipDirective();
        continue;
      }
      take(".visible");
      if (!take(".entry"))
        fail("an entry is wanted: functions are not supported");
      Kernel kernel = parseKernel();
      std::string name = kernel.name;
      module.kernels.emplace(std::move(name), std::move(kernel));
    }
    return std::move(module);
  }

private:
  [[noreturn]] void fail(const std::string &what) const {
    throw std::runtime_error(fmt::format("PTX line {}: {}", line, what));
  }

  void advance() { line += text[at++] == '\n'; }

  void skip() { // blanks and comments
    while (at < text.size()) {
      if (std::isspace(static_cast<unsigned char>(text[at])))
        advance();
      else if (text.substr(at, 2) == "//")
        while (at < text.size() && text[at] != '\n')
          ++at;
      else
        return;
    }
  }

  /// `.version 8.1` and the like end with the line, declarations of variables with a semicolon.
  void skipDirective() {
    const bool isDeclaration = peekWord(".extern") || peekWord(".shared");
    while (at < text.size() && text[at] != (isDeclaration ? ';' : '\n'))
      advance();
    if (at < text.size())
      advance();
  }

  /// `.global .align 4 .b8 name[36] = {0, 63};`: bytes, the rest of which are zero
  void parseGlobal() {
    if (take(".align"))
      number();
    if (!take(".b8"))
      fail("a variable of bytes is wanted");
    std::vector<uint8_t> &bytes = module.globals[std::string(word())];
    want('[');
    bytes.resize(size_t(number()));
    want(']');
    if (take('=')) {
      want('{');
      for (uint8_t &byte : bytes) {
        if (take('}'))
          break;
        byte = uint8_t(number());
        take(',');
      }
      take('}');
    }
    want(';');
  }

  bool peekWord(std::string_view word) const {
    return text.substr(at, word.size()) == word && (at + word.size() >= text.size() || !isName(text[at + word.size()]));
  }

  bool take(std::string_view word) {
    if (!peekWord(word))
      return false;
    at += word.size();
    skip();
    return true;
  }

  bool take(char c) {
    if (at >= text.size() || text[at] != c)
      return false;
    advance();
    skip();
    return true;
  }

  void want(char c) {
    if (!take(c))
      fail(fmt::format("'{}' is wanted", c));
  }

  std::string_view word() {
    const size_t begin = at;
    while (at < text.size() &&
           (isName(text[at]) || text.substr(at, 2) == "::" || (at > begin && text.substr(at - 1, 2) == "::")))
      ++at;
    if (at == begin)
      fail("a name is wanted");
    const std::string_view found = text.substr(begin, at - begin);
    skip();
    return found;
  }

  int64_t number() {
    const size_t begin = at;
    const bool isNegative = take('-');
    const bool isHex = text.substr(at, 2) == "0x";
    at += isHex ? 2 : 0;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value, isHex ? 16 : 10);
    if (error != std::errc())
      fail(fmt::format("a number is wanted, not '{}'", text.substr(begin, 20)));
    at = size_t(end - text.data());
    if (at < text.size() && text[at] == 'U')
      ++at;
    skip();
    return isNegative ? -int64_t(value) : int64_t(value);
  }

  Kernel parseKernel() {
    Kernel kernel;
    current = &kernel;
    labels.clear();
    lists.clear();
    jumps.clear();
    targets.clear();
    indexed.clear();
    constants.clear();
    prefixes.clear();
    unwanted.reset();
    scopes.assign(1, {});
    kernel.name = word();
    addConstant(0);
    parseParameters();
    while (!take('{')) {
      const std::string_view directive = word();
      if (directive == ".reqnctapercluster" || directive == ".explicitcluster" || directive == ".maxntid" ||
          directive == ".minnctapersm" || directive == ".reqntid") {
        int64_t product = 1;
        while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at]))) {
          product *= number();
          take(',');
        }
        if (directive == ".reqnctapercluster")
          kernel.clusterBlocks = uint32_t(product);
      } else {
        fail(fmt::format("directive '{}' is not known", directive));
      }
    }
    while (!scopes.empty())
      parseStatement();
    for (const auto &[instruction, label] : jumps)
      kernel.code[instruction].target = find(labels, label);
    for (const auto &[place, label] : targets)
      kernel.targets[place] = find(labels, label);
    for (const auto &[instruction, list] : indexed)
      kernel.code[instruction].target = find(lists, list);
    Instruction end;
    end.run = findOperation("ret").run;
    end.line = line;
    kernel.code.push_back(end);
    return kernel;
  }

  uint32_t find(const std::map<std::string, uint32_t> &places, const std::string &label) const {
    const auto found = places.find(label);
    if (found == places.end())
      fail(fmt::format("label '{}' of '{}' is nowhere", label, current->name));
    return found->second;
  }

  void parseParameters() {
    want('(');
    while (!take(')')) {
      if (!take(".param"))
        fail("'.param' is wanted");
      const std::string_view type = word();
      Parameter parameter;
      parameter.bytes = bitsOf(type) / 8;
      if (take(".ptr"))
        while (text[at] == '.') {
          const std::string_view property = word();
          if (property == ".align")
            number();
        }
      parameter.name = word();
      parameter.offset = (current->parameterBytes + parameter.bytes - 1) / parameter.bytes * parameter.bytes;
      current->parameterBytes = parameter.offset + parameter.bytes;
      current->parameters.push_back(parameter);
      take(',');
    }
  }

  uint32_t bitsOf(std::string_view type) const {
    const size_t digit = type.find_first_of("0123456789");
    uint32_t bits = 0;
    if (digit != std::string_view::npos)
      std::from_chars(type.data() + digit, type.data() + type.size(), bits);
    if (bits < 8)
      fail(fmt::format("'{}' is no type with a size", type));
    return bits;
  }

  Bank bankOf(std::string_view type) const {
    if (type == ".pred")
      return Bank::Predicate;
    const uint32_t bits = bitsOf(type);
    return bits == 64 ? Bank::B64 : bits == 32 ? Bank::B32 : Bank::B16;
  }

  void parseStatement() {
    if (take('{')) {
      scopes.emplace_back();
      return;
    }
    if (take('}')) {
      scopes.pop_back();
      return;
    }
    if (take(".reg"))
      return parseRegisters();
    if (peekWord(".pragma") || peekWord(".loc")) {
      skipDirective();
      return;
    }
    Instruction instruction;
    instruction.line = line;
    if (take('@')) {
      instruction.isNegated = take('!');
      instruction.guard = findRegister(word(), Bank::Predicate).number;
    }
    const std::string_view opcode = word();
    if (take(':')) {
      if (take(".branchtargets"))
        parseTargets(opcode);
      else
        labels[std::string(opcode)] = uint32_t(current->code.size());
      return;
    }
    parseInstruction(instruction, opcode);
  }

  /// `$L_brx_0: .branchtargets $L_1, $L_2;`, a list that brx.idx chooses from
  void parseTargets(std::string_view name) {
    lists[std::string(name)] = uint32_t(current->targets.size());
    do {
      targets.emplace_back(current->targets.size(), std::string(word()));
      current->targets.push_back(0);
    } while (take(','));
    want(';');
  }

  void parseRegisters() {
    const Bank bank = bankOf(word());
    do {
      const std::string name(word());
      uint32_t &count = current->registers[size_t(bank)];
      if (take('<')) {
        const int64_t many = number();
        want('>');
        prefixes[name] = {bank, count};
        count += uint32_t(many);
      } else {
        scopes.back()[name] = {bank, count++};
      }
    } while (take(','));
    want(';');
  }

  void parseInstruction(Instruction &instruction, std::string_view opcode) {
    const Operation operation = findOperation(opcode);
    if (!operation.run)
      fail(fmt::format("instruction '{}' is not supported", opcode));
    instruction.run = operation.run;
    instruction.isCollective = operation.isCollective;
    instruction.traffic = trafficOf(opcode);
    current->hasWarpgroups |= opcode.starts_with("wgmma.");
    current->isWatched &= !opcode.starts_with("mbarrier") && opcode.find("cluster") == std::string_view::npos;
    int addresses = 0;
    const bool isBranch = opcode == "bra" || opcode == "bra.uni";
    if (opcode == "brx.idx") {
      addOperand(instruction);
      want(',');
      indexed.emplace_back(current->code.size(), std::string(word()));
    }
    if (isBranch)
      jumps.emplace_back(current->code.size(), std::string(word()));
    while (!take(';')) {
      if (take('[')) {
        instruction.addresses[size_t(addresses++)] = parseAddress();
        want(']');
      } else if (!take('{') && !take('}') && !take(',') && !take('|')) {
        addOperand(instruction);
      }
    }
    instruction.results = resultsOf(opcode, instruction);
    current->code.push_back(instruction);
  }

  /// How many of an instruction's operands it writes. (wgmma is another matter.)
  static int resultsOf(std::string_view opcode, const Instruction &instruction) {
    for (const std::string_view none :
         {"st.", "stmatrix", "red.", "cp.", "bar", "mbarrier.", "fence", "bra", "brx", "ret", "exit", "wgmma."})
      if (opcode.starts_with(none))
        return 0;
    if (opcode == "mov.b64" && instruction.count == 3 && instruction.banks[0] == Bank::B32)
      return 2;
    return opcode.starts_with("ld")     ? instruction.count
           : opcode.starts_with("mma.") ? 4
                                        : std::min(instruction.count, 1);
  }

  const Parameter *findParameter(std::string_view name) const {
    for (const Parameter &each : current->parameters)
      if (each.name == name)
        return &each;
    return nullptr;
  }

  AddressOperand parseAddress() {
    AddressOperand address;
    const std::string_view base = word();
    if (const Parameter *parameter = findParameter(base)) {
      address.offset = parameter->offset;
    } else if (const auto global = module.globals.find(std::string(base)); global != module.globals.end()) {
      address.base = addConstant(reinterpret_cast<uint64_t>(global->second.data()));
    } else if (base != "rondo_shared") { // all of shared memory, which begins at zero
      const Register found = findRegister(base, std::nullopt);
      address.base = found.number;
      address.bank = found.bank;
    }
    const bool isPlus = take('+');
    if (isPlus || text[at] == '-')
      address.offset += number();
    return address;
  }

  void addOperand(Instruction &instruction) {
    const size_t i = size_t(instruction.count++);
    const Register operand = parseOperand();
    if (i >= instruction.operands.size()) {
      instruction.more.push_back(operand.number);
      return;
    }
    instruction.operands[i] = operand.number;
    instruction.banks[i] = operand.bank;
  }

  /// A register, or a constant.
  Register parseOperand() {
    const char c = text[at];
    if (text.substr(at, 2) == "0f" || text.substr(at, 2) == "0d") { // the bits of a float or double
      const size_t end = at + (text[at + 1] == 'f' ? 10 : 18);
      uint64_t bits = 0;
      std::from_chars(text.data() + at + 2, text.data() + end, bits, 16);
      at = end;
      skip();
      return {Bank{}, addConstant(bits)};
    }
    if (c == '-' || std::isdigit(static_cast<unsigned char>(c)))
      return {Bank{}, addConstant(uint64_t(number()))};
    if (take("rondo_shared"))
      return {Bank{}, addConstant(0)};
    const std::string_view name = word();
    if (name == "_")
      return {Bank{}, sink()};
    if (const Parameter *parameter = findParameter(name)) // its address, for an index of run time
      return {Bank{}, addConstant(parameter->offset)};
    if (const auto global = module.globals.find(std::string(name)); global != module.globals.end())
      return {Bank{}, addConstant(reinterpret_cast<uint64_t>(global->second.data()))};
    return findRegister(name, std::nullopt);
  }

  /// The register of results that nobody wants, which every bank has.
  uint32_t sink() {
    if (!unwanted) {
      unwanted = *std::max_element(current->registers.begin(), current->registers.end());
      current->registers.fill(*unwanted + 1);
    }
    return *unwanted;
  }

  uint32_t addConstant(uint64_t value) {
    const auto [found, isNew] = constants.emplace(value, uint32_t(current->constants.size()));
    if (isNew) {
      Constant &made = current->constants.emplace_back();
      made.b16.fill(uint16_t(value));
      made.b32.fill(uint32_t(value));
      made.b64.fill(value);
    }
    return found->second | kConstant;
  }

  Register findRegister(std::string_view name, std::optional<Bank> wanted) const {
    static const std::map<std::string_view, Special> specials = {
        {"%tid.x", kTid}, {"%ctaid.x", kCtaid}, {"%nctaid.x", kNctaid}, {"%ntid.x", kNtid}, {"%laneid", kLane}};
    if (const auto special = specials.find(name); special != specials.end())
      return {Bank::B32, special->second};
    for (size_t i = scopes.size(); i-- > 0;)
      if (const auto found = scopes[i].find(name); found != scopes[i].end())
        return found->second;
    const size_t digits = name.find_last_not_of("0123456789") + 1;
    const auto prefix = prefixes.find(name.substr(0, digits));
    if (prefix == prefixes.end() || digits == name.size())
      fail(fmt::format("register '{}' is not declared", name));
    if (wanted && prefix->second.bank != *wanted)
      fail(fmt::format("register '{}' is of another kind", name));
    uint32_t number = 0;
    std::from_chars(name.data() + digits, name.data() + name.size(), number);
    return {prefix->second.bank, prefix->second.number + number};
  }

  std::string_view text;
  size_t at = 0;
  uint32_t line = 1;
  Module module;
  Kernel *current = nullptr;
  std::map<std::string, uint32_t> labels, lists;
  std::vector<std::pair<size_t, std::string>> jumps, targets, indexed; // whose labels are looked up at the end
  std::map<uint64_t, uint32_t> constants;
  std::map<std::string, Register, std::less<>> prefixes;
  std::vector<std::map<std::string, Register, std::less<>>> scopes;
  std::optional<uint32_t> unwanted;
};

} // namespace

Module parseModule(std::string_view text) { return Parser(text).parse(); }

} // namespace rondo::emulator
