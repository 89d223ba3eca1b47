// A model that XLA compiled ahead of time, one call after another.
//
//   xla ROWS
//
// ROWS holds the input's float32 values. The program says "ready" and answers the lines "predict" (with the
// output's values) and "time N" (with the nanoseconds that N calls take). A call begins and ends with the
// caller's arrays.
//
// model.h is the header that XLA wrote, without its includes. Its class derives from one of TensorFlow's; the
// one here does as much as a call needs, so that nothing of TensorFlow has to be linked, and costs no more.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "xla/backends/cpu/runtime/kernel_c_api.h"

#define ABSL_PREDICT_FALSE(condition) (condition)

namespace absl {
template <typename Key, typename Value>
using flat_hash_map = std::unordered_map<Key, Value>;
}

namespace xla {
class ProgramShapeProto;
class ExecutableRunOptions;
namespace cpu {
struct RngState {};

// The first number is the size in bytes times four, and what the buffer is: 0 for a constant.
struct EncodedBufferAllocationInfo {
  uint64_t packed;
  uint32_t parameter, result;
};

struct BufferAllocationInfo {
  explicit BufferAllocationInfo(EncodedBufferAllocationInfo info) : info(info) {}
  uint64_t size() const { return info.packed >> 2; }
  bool constant() const { return (info.packed & 3) == 0; }
  EncodedBufferAllocationInfo info;
};
}  // namespace cpu
}  // namespace xla

namespace tensorflow {
using int32 = int32_t;

class XlaCompiledCpuFunction {
 public:
  using Random = std::vector<std::unique_ptr<xla::cpu::RngState>>;
  using Code = std::function<bool(void **, xla::ExecutableRunOptions *, Random &)>;
  enum class AllocMode { ARGS_VARIABLES_RESULTS_PROFILES_AND_TEMPS, RESULTS_PROFILES_AND_TEMPS_ONLY };
  struct ShapeInfo {
    const int32_t *dims;
    int rank;
  };
  struct StaticData {
    const xla::cpu::BufferAllocationInfo *infos;
    size_t count;
    const int32 *results, *args;
    Code run;
    std::vector<std::pair<uint64_t, char *>> constants;
  };

  XlaCompiledCpuFunction(const StaticData &data, AllocMode) : data_(data), buffers_(data.count) {
    size_t constant = 0;
    for (size_t i = 0; i < data.count; i++) {
      const auto &info = data.infos[i];
      buffers_[i] = info.constant() && constant < data.constants.size()
                        ? data.constants[constant++].second
                        : std::aligned_alloc(64, (info.size() + 127) / 64 * 64);
    }
  }
  virtual ~XlaCompiledCpuFunction() = default;

  bool Run() { return data_.run(buffers_.data(), nullptr, random_); }
  void *arg_data(size_t i) { return buffers_[data_.args[i]]; }
  const void *arg_data(size_t i) const { return buffers_[data_.args[i]]; }
  void *result_data(size_t i) { return buffers_[data_.results[i]]; }
  const void *result_data(size_t i) const { return buffers_[data_.results[i]]; }
  void set_arg_data(size_t i, const void *data) { buffers_[data_.args[i]] = const_cast<void *>(data); }

 protected:
  virtual bool is_thunk_mode() const = 0;
  static void set_static_data_buffer_infos(StaticData *d, const xla::cpu::BufferAllocationInfo *x) { d->infos = x; }
  static void set_static_data_num_buffers(StaticData *d, size_t x) { d->count = x; }
  static void set_static_data_result_index_table(StaticData *d, const int32 *x) { d->results = x; }
  static void set_static_data_arg_index_table(StaticData *d, const int32 *x) { d->args = x; }
  static void set_static_data_thunk_run_impl(StaticData *d, Code x) { d->run = std::move(x); }
  static void set_static_data_embedded_constant_buffers(StaticData *d, std::vector<std::pair<uint64_t, char *>> x) {
    d->constants = std::move(x);
  }

#define UNUSED(name) \
  template <typename T> \
  static void set_static_data_##name(StaticData *, T &&) {}
  UNUSED(function_library_symbol_map)
  UNUSED(num_results)
  UNUSED(num_args)
  UNUSED(num_variables)
  UNUSED(temp_allocation_index)
  UNUSED(arg_shape_infos)
  UNUSED(result_shape_infos)
  UNUSED(arg_names)
  UNUSED(variable_names)
  UNUSED(result_names)
  UNUSED(program_shape)
  UNUSED(rng_state_deltas)
  UNUSED(compilation_result_proto)
#undef UNUSED

 private:
  const StaticData &data_;
  std::vector<void *> buffers_;
  Random random_;
};
}  // namespace tensorflow

#include "model.h"

static std::vector<float> rows, result;

static void predict(Model &model) {
  std::memcpy(model.arg0_data(), rows.data(), rows.size() * sizeof(float));
  if (!model.Run()) std::abort();
  std::memcpy(result.data(), model.result0_data(), result.size() * sizeof(float));
}

int main(int argc, char **argv) {
  static Model model;
  rows.resize(model.arg0_count());
  result.resize(model.result0_count());
  FILE *file = argc == 2 ? std::fopen(argv[1], "rb") : nullptr;
  if (!file || std::fread(rows.data(), sizeof(float), rows.size(), file) != rows.size()) {
    std::fprintf(stderr, "wants ROWS, of %zu values\n", rows.size());
    return 1;
  }
  predict(model);
  std::printf("ready\n");
  std::fflush(stdout);
  char line[64];
  while (std::fgets(line, sizeof line, stdin)) {
    if (!std::strncmp(line, "predict", 7)) {
      predict(model);
      for (float value : result) std::printf("%.9g ", value);
      std::printf("\n");
    } else {
      long long calls = std::atoll(line + 5);
      auto begin = std::chrono::steady_clock::now();
      for (long long i = 0; i < calls; i++) predict(model);
      auto taken = std::chrono::steady_clock::now() - begin;
      std::printf("%lld\n", (long long)std::chrono::duration_cast<std::chrono::nanoseconds>(taken).count());
    }
    std::fflush(stdout);
  }
}
