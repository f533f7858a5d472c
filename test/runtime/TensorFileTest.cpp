// Tensor files: what we write we read back; what the real libraries write we read; what is broken we refuse and say
// where.
#include "rondo/TensorFile.h"
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace rondo;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

const fs::path fixtures = fs::path(__FILE__).parent_path() / "fixtures";

/// A folder of its own for each test, removed at its end.
struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "rondo-test-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Folder() {
    fs::permissions(path, fs::perms::owner_all);
    fs::remove_all(path);
  }
  std::string operator/(const char *name) const { return (path / name).string(); }
  long files() const { return std::distance(fs::directory_iterator(path), fs::directory_iterator()); }
};

std::string messageOf(const Result<NamedBuffers> &result) { return result ? "no error" : result.error().message(); }
std::string messageOf(const Result<void> &result) { return result ? "no error" : result.error().message(); }

std::string contentOf(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

const Buffer &find(const NamedBuffers &buffers, const std::string &name) {
  for (const auto &[key, buffer] : buffers)
    if (key == name)
      return buffer;
  throw std::out_of_range("no tensor " + name);
}

std::span<const std::byte> bytesOf(const std::string &text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string safetensors(const std::string &header, const std::string &data) {
  std::string text(8, '\0');
  const uint64_t size = header.size();
  std::memcpy(text.data(), &size, 8);
  return text + header + data;
}

std::string safetensorsError(const std::string &header, const std::string &data = "") {
  return messageOf(readSafetensors(bytesOf(safetensors(header, data))));
}

NamedBuffers everyType() {
  NamedBuffers tensors;
  for (int i = 0; i <= int(DType::Bool); ++i) {
    tensors.emplace_back(std::string(nameOf(DType(i))), Buffer(DType(i), {2, 3}));
    for (int64_t e = 0; e < 6; ++e)
      storeElement(tensors.back().second.view(), e, double(e) / 2 - 1, double(e));
  }
  tensors.emplace_back("f.scalar", Buffer(DType::F32, {}));
  tensors.emplace_back("Größe", Buffer(DType::I32, {0, 4}));
  return tensors;
}

NamedTensors viewsOf(const NamedBuffers &buffers) {
  NamedTensors views;
  for (const auto &[name, buffer] : buffers)
    views.emplace_back(name, buffer.view());
  return views;
}

} // namespace

TEST_CASE("what is written reads back, names, order, types, shapes and bytes", "[tensorfile]") {
  const char *name = GENERATE("a.safetensors", "a.npz");
  const Folder folder;
  const NamedBuffers out = everyType();
  REQUIRE(messageOf(writeTensors(folder / name, viewsOf(out))) == "no error");
  const Result<NamedBuffers> in = readTensors(folder / name);
  REQUIRE(messageOf(in) == "no error");
  REQUIRE(in->size() == out.size());
  for (size_t i = 0; i < out.size(); ++i) {
    INFO(out[i].first);
    CHECK((*in)[i].first == out[i].first);
    CHECK((*in)[i].second.type() == out[i].second.type());
    CHECK((*in)[i].second.shape() == out[i].second.shape());
    REQUIRE((*in)[i].second.bytes() == out[i].second.bytes());
    CHECK(std::memcmp((*in)[i].second.data(), out[i].second.data(), out[i].second.bytes()) == 0);
  }
  CHECK(folder.files() == 1);
}

TEST_CASE("a file without tensors, and views with strides", "[tensorfile]") {
  const char *name = GENERATE("a.safetensors", "a.npz");
  const Folder folder;
  REQUIRE(messageOf(writeTensors(folder / name, {})) == "no error");
  const Result<NamedBuffers> none = readTensors(folder / name);
  REQUIRE(messageOf(none) == "no error");
  CHECK(none->empty());
  float values[6] = {0, 1, 2, 3, 4, 5};
  const Tensor transposed{values, DType::F32, {3, 2}, {1, 3}};
  REQUIRE(messageOf(writeTensors(folder / name, {{"x", transposed}})) == "no error");
  const Result<NamedBuffers> back = readTensors(folder / name);
  REQUIRE(messageOf(back) == "no error");
  const float expected[6] = {0, 3, 1, 4, 2, 5};
  CHECK(std::memcmp(find(*back, "x").data(), expected, sizeof expected) == 0);
}

TEST_CASE("files of the real libraries are read", "[tensorfile]") {
  const char *name = GENERATE("reference.safetensors", "reference.npz");
  const Result<NamedBuffers> in = readTensors((fixtures / name).string());
  REQUIRE(messageOf(in) == "no error");
  for (const char *real : {"f64", "f32", "f16", "bf16", "c64", "i64", "i32", "bool"}) {
    INFO(real);
    const Tensor x = find(*in, real).view();
    CHECK(nameOf(x.type) == real);
    REQUIRE(x.shape == std::vector<int64_t>{2, 3});
    for (int64_t i = 0; i < 6; ++i) {
      const bool integer = x.type == DType::I64 || x.type == DType::I32;
      const double expected = integer                 ? double(i)
                              : x.type == DType::Bool ? double(i == 0 || i == 2 || i == 5)
                                                      : double(i) / 2 - 1;
      CHECK(loadReal(x, i) == expected);
      CHECK(loadImag(x, i) == (x.type == DType::C64 ? 1 : 0));
    }
  }
  CHECK(find(*in, "scalar").shape().empty());
  CHECK(loadReal(find(*in, "scalar").view(), 0) == 2.5);
  CHECK(find(*in, "empty").shape() == std::vector<int64_t>{0, 3});
}

TEST_CASE("NumPy's variants: complex128, column-major, deflate, header versions", "[tensorfile]") {
  const Result<NamedBuffers> in = readTensors((fixtures / "reference.npz").string());
  REQUIRE(messageOf(in) == "no error");
  CHECK(find(*in, "c128").type() == DType::C128);
  for (int64_t i = 0; i < 6; ++i) {
    CHECK(loadReal(find(*in, "c128").view(), i) == double(i) / 2 - 1);
    CHECK(loadReal(find(*in, "fortran").view(), i) == double(i) / 2 - 1);
  }
  const Result<NamedBuffers> deflated = readTensors((fixtures / "compressed.npz").string());
  REQUIRE(messageOf(deflated) == "no error");
  CHECK(find(*deflated, "f.W").shape() == std::vector<int64_t>{2});
  for (int64_t i = 0; i < 600; ++i)
    REQUIRE(loadReal(find(*deflated, "f32").view(), i) == double(i) / 2 - 1);
  const Result<NamedBuffers> versions = readTensors((fixtures / "versions.npz").string());
  REQUIRE(messageOf(versions) == "no error");
  CHECK(versions->size() == 3);
  CHECK_THAT(messageOf(readTensors((fixtures / "bigendian.npz").string())),
             Contains("tensor 'x'") && Contains("elements of type '>f4' are big-endian"));
}

TEST_CASE("a broken safetensors header is refused and the place named", "[tensorfile]") {
  const std::string eight(8, '\0');
  CHECK_THAT(messageOf(readSafetensors({})), Contains("byte 0: expected a safetensors or .npz file"));
  CHECK_THAT(messageOf(readSafetensors(bytesOf(std::string(16, '\xff')))), Contains("this is neither, or cut off"));
  CHECK(safetensorsError("{\"x\": oops}") == "error: byte 15: the header is not JSON");
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"x":{}})", eight),
             Contains("the name 'x' comes twice"));
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"F32","dtype":"F32"}})"), Contains("'dtype' comes twice in tensor 'x'"));
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"F32","shape":[2]}})"),
             Contains("tensor 'x'") && Contains("expected the fields"));
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", eight),
             Contains("a negative number where none belongs"));
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})", eight),
             Contains("a list where none belongs"));
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})", eight),
             Contains("elements of type U8 are not supported"));
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", eight),
             Contains("[3] of type F32 does not take the 8 bytes"));
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,16]}})", eight),
             Contains("data_offsets [0, 16] are not inside of the file's 8 bytes"));
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", eight),
             Contains("data_offsets [8, 0]"));
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,0]}})"),
             Contains("does not take the 0 bytes"));
  CHECK_THAT(safetensorsError(R"({"x":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", std::string("\1\2", 2)),
             Contains("a bool is 2, neither 0 nor 1"));
}

TEST_CASE("safetensors elements have no holes and no overlaps", "[tensorfile]") {
  const auto two = [](const char *a, const char *b) {
    return std::string(R"({"x":{"dtype":"I32","shape":[1],"data_offsets":)") + a +
           R"(},"y":{"dtype":"I32","shape":[1],"data_offsets":)" + b + "}}";
  };
  const std::string twelve(12, '\0');
  CHECK(safetensorsError(two("[4,8]", "[0,4]"), twelve.substr(4)) == "no error");
  CHECK_THAT(safetensorsError(two("[0,4]", "[2,6]"), twelve.substr(6)),
             Contains("tensor 'y'") && Contains("overlaps another tensor"));
  CHECK_THAT(safetensorsError(two("[0,4]", "[8,12]"), twelve), Contains("there is a hole before it"));
  CHECK_THAT(safetensorsError(two("[0,4]", "[4,8]"), twelve), Contains("4 bytes belong to no tensor"));
}

TEST_CASE("every cut of a good file is refused, and no flipped bit crashes", "[tensorfile]") {
  const char *name = GENERATE("reference.safetensors", "reference.npz", "compressed.npz");
  const std::string whole = contentOf((fixtures / name).string());
  const bool npz = whole[0] == 'P';
  const auto read = [&](const std::string &bytes) {
    return npz ? readNpz(bytesOf(bytes)) : readSafetensors(bytesOf(bytes));
  };
  REQUIRE(messageOf(read(whole)) == "no error");
  int accepted = 0;
  for (size_t size = 0; size < whole.size(); ++size)
    accepted += bool(read(whole.substr(0, size)));
  CHECK(accepted == 0);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = char(flipped[i] ^ (1 << (i % 8)));
    const Result<NamedBuffers> result = read(flipped);
    CHECK((result || !result.error().message().empty()));
  }
}

TEST_CASE("a damaged element of an archive is found by its checksum", "[tensorfile]") {
  const Folder folder;
  float values[16] = {1, 2, 3};
  REQUIRE(messageOf(writeTensors(folder / "a.npz", {{"x", Tensor{values, DType::F32, {16}, {}}}})) == "no error");
  std::string bytes = contentOf(folder / "a.npz");
  const size_t place = bytes.find(std::string(reinterpret_cast<const char *>(values), 12));
  REQUIRE(place != std::string::npos);
  bytes[place] ^= 1;
  CHECK_THAT(messageOf(readNpz(bytesOf(bytes))), Contains("tensor 'x'") && Contains("the checksum does not match"));
}

TEST_CASE("errors name the path", "[tensorfile]") {
  const Folder folder;
  CHECK_THAT(messageOf(readTensors(folder / "none.npz")), Contains("none.npz: error: cannot read: No such file"));
  CHECK_THAT(messageOf(readTensors(folder.path.string())), Contains("cannot read: Is a directory"));
  std::ofstream(folder / "a.npy") << "\x93NUMPY\1\0";
  CHECK_THAT(messageOf(readTensors(folder / "a.npy")), Contains("a.npy: error: this is a .npy file"));
  std::ofstream(folder / "text.npz") << "hello, world";
  CHECK_THAT(messageOf(readTensors(folder / "text.npz")),
             Contains("text.npz: error: byte 0: expected a safetensors or .npz file"));
}

TEST_CASE("what no file can hold is refused before anything is written", "[tensorfile]") {
  const Folder folder;
  float value = 0;
  const Tensor scalar{&value, DType::F32, {}, {}};
  const auto error = [&](const NamedTensors &tensors) { return messageOf(writeTensors(folder / "a.npz", tensors)); };
  CHECK_THAT(messageOf(writeTensors(folder / "a.txt", {})),
             Contains("a.txt: error: expected a name that ends in .safetensors or .npz"));
  CHECK_THAT(error({{"x", scalar}, {"x", scalar}}), Contains("tensor 'x': there is another one of this name"));
  CHECK_THAT(error({{"", scalar}}), Contains("not a name that a file can hold"));
  CHECK_THAT(error({{"\xff", scalar}}), Contains("the name is not UTF-8"));
  CHECK_THAT(error({{"x", Tensor{nullptr, DType::F32, {2}, {}}}}), Contains("data is null"));
  CHECK_THAT(error({{"x", Tensor{&value, DType::F32, {-1}, {}}}}), Contains("not a shape that memory can hold"));
  CHECK_THAT(error({{"x", Tensor{&value, DType::F32, {1}, {1, 1}}}}), Contains("2 strides for 1 axes"));
  CHECK(folder.files() == 0);
}

TEST_CASE("a file that is replaced keeps its permissions, and a link stays a link", "[tensorfile]") {
  const Folder folder;
  float value = 1;
  const NamedTensors tensors = {{"x", Tensor{&value, DType::F32, {}, {}}}};
  std::ofstream(folder / "a.npz") << "old";
  fs::permissions(folder / "a.npz", fs::perms(0640));
  fs::create_symlink("a.npz", folder / "link.npz");
  REQUIRE(messageOf(writeTensors(folder / "link.npz", tensors)) == "no error");
  CHECK(fs::is_symlink(folder / "link.npz"));
  CHECK((fs::status(folder / "a.npz").permissions() & fs::perms::mask) == fs::perms(0640));
  CHECK(messageOf(readTensors(folder / "a.npz")) == "no error");
  CHECK(folder.files() == 2);
}

TEST_CASE("a write that fails leaves the old file and nothing else", "[tensorfile]") {
  const char *name = GENERATE("a.safetensors", "a.npz");
  const Folder folder;
  std::ofstream(folder / name) << "old";
  const Buffer large(DType::F64, {1 << 16});
  // No more than 4 KiB per file: the write fails half way, as on a full disk.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 4096;
  setrlimit(RLIMIT_FSIZE, &small);
  const Result<void> written = writeTensors(folder / name, {{"x", large.view()}});
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK_THAT(messageOf(written), Contains(std::string(name) + ": error: cannot write: File too large"));
  CHECK(contentOf(folder / name) == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("a folder that is missing or may not be written", "[tensorfile]") {
  const Folder folder;
  CHECK_THAT(messageOf(writeTensors(folder / "none/a.npz", {})),
             Contains("none/a.npz: error: cannot create a file in its folder: No such file"));
  std::ofstream(folder / "a.npz") << "old";
  fs::permissions(folder.path, fs::perms(0555));
  fs::permissions(folder / "a.npz", fs::perms(0666));
  // Root may write everywhere, and CI is root: for these lines we are nobody.
  const bool root = geteuid() == 0;
  REQUIRE((!root || seteuid(65534) == 0));
  const std::string inReadOnlyFolder = messageOf(writeTensors(folder / "a.npz", {}));
  REQUIRE((!root || seteuid(0) == 0));
  CHECK_THAT(inReadOnlyFolder, Contains("a.npz: error: cannot create a file in its folder: Permission denied"));
  CHECK(contentOf(folder / "a.npz") == "old");
}
