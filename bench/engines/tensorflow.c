// A frozen GraphDef run by TensorFlow's C API, one call after another.
//
//   tensorflow MODEL.pb INPUT OUTPUT DTYPE ROWS DIMS THREADS
//
// INPUT and OUTPUT are operations, ROWS holds the input's values, of DTYPE float32 or int32, and DIMS its
// shape: "1,10".
// With THREADS 0 the program prints one prediction and ends: a cold start. Otherwise it says "ready" and
// answers the lines "predict" (with the output's values) and "time N" (with the nanoseconds that N calls
// take). A call begins and ends with the caller's arrays: the input is copied into a tensor that is kept,
// and the output out of the tensor that TensorFlow makes.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensorflow/c/c_api.h"

static TF_Status *status;
static TF_Session *session;
static TF_Output feed, fetch;
static TF_Tensor *input;
static void *rows;
static float *result;
static size_t row_bytes, result_bytes;

static void fail(const char *doing, const char *why) {
  fprintf(stderr, "%s: %s\n", doing, why);
  exit(1);
}

static void check(const char *doing) {
  if (TF_GetCode(status) != TF_OK) fail(doing, TF_Message(status));
}

static void *contents(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path, "cannot be read");
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  void *data = malloc(*size);
  if (!data || fread(data, 1, *size, file) != *size) fail(path, "cannot be read");
  fclose(file);
  return data;
}

static TF_Output operation(TF_Graph *graph, const char *name) {
  TF_Output output = {TF_GraphOperationByName(graph, name), 0};
  if (!output.oper) fail(name, "is not in the graph");
  return output;
}

static void predict(void) {
  memcpy(TF_TensorData(input), rows, row_bytes);
  TF_Tensor *output = NULL;
  TF_SessionRun(session, NULL, &feed, &input, 1, &fetch, &output, 1, NULL, 0, NULL, status);
  check("TF_SessionRun");
  result_bytes = TF_TensorByteSize(output);
  if (!result) result = malloc(result_bytes);
  memcpy(result, TF_TensorData(output), result_bytes);
  TF_DeleteTensor(output);
}

static void print_result(void) {
  for (size_t i = 0; i < result_bytes / sizeof(float); i++) printf("%s%.9g", i ? " " : "", result[i]);
  printf("\n");
  fflush(stdout);
}

static long long nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 8) fail(argv[0], "wants MODEL.pb INPUT OUTPUT DTYPE ROWS DIMS THREADS");
  int threads = atoi(argv[7]);
  status = TF_NewStatus();

  size_t size;
  void *definition = contents(argv[1], &size);
  TF_Graph *graph = TF_NewGraph();
  TF_Buffer *buffer = TF_NewBufferFromString(definition, size);
  TF_ImportGraphDefOptions *import = TF_NewImportGraphDefOptions();
  TF_GraphImportGraphDef(graph, buffer, import, status);
  check(argv[1]);
  feed = operation(graph, argv[2]);
  fetch = operation(graph, argv[3]);

  // ConfigProto: intra_op_parallelism_threads (field 2) and inter_op_parallelism_threads (field 5).
  unsigned char config[] = {0x10, threads > 0 ? threads : 1, 0x28, threads > 0 ? threads : 1};
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_SetConfig(options, config, sizeof config, status);
  check("TF_SetConfig");
  session = TF_NewSession(graph, options, status);
  check("TF_NewSession");

  int64_t dims[8];
  int rank = 0;
  for (char *d = strtok(argv[6], ","); d && rank < 8; d = strtok(NULL, ",")) dims[rank++] = atoll(d);
  rows = contents(argv[5], &row_bytes);
  input = TF_AllocateTensor(strcmp(argv[4], "int32") ? TF_FLOAT : TF_INT32, dims, rank, row_bytes);

  predict();
  if (threads == 0) {
    print_result();
    return 0;
  }
  printf("ready\n");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "predict", 7)) {
      predict();
      print_result();
      continue;
    }
    long long calls = atoll(line + 5), begin = nanoseconds();
    for (long long i = 0; i < calls; i++) predict();
    printf("%lld\n", nanoseconds() - begin);
    fflush(stdout);
  }
  return 0;
}
