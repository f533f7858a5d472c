/* The same calls as embed.cpp, in C, with code that was compiled when this program was built: gla.o and gla.h come from gla.rondo (see
   CMakeLists.txt), and the program needs neither Rondo nor LLVM. */
#include "gla.h"
#include <math.h>
#include <stdio.h>

enum { T = 2, K = 2, V = 3 };

int main(void) {
  const float q[T][K] = {{1, 0}, {1, 1}}, k[T][K] = {{1, 2}, {0, 1}}, v[T][V] = {{1, 2, 3}, {4, 5, 6}};
  float g[T][K], S[K][V], o[T][V];
  for (int t = 0; t < T; ++t)
    for (int i = 0; i < K; ++i)
      g[t][i] = logf(0.5f);

  for (int round = 0; round < 2; ++round) {
    float next[K][V];
    struct gla_call call = {0};
    call.B = 1;
    call.T = T;
    call.H = 1;
    call.q = q[0];
    call.k = k[0];
    call.v = v[0];
    call.g = g[0];
    call.S = round ? S[0] : NULL; /* the default, 0, in the first call */
    call.o = o[0];
    call.S_final = next[0];
    if (gla_run(&call) != 0)
      return 1;
    memcpy(S, next, sizeof S);
    for (int t = 0; t < T; ++t)
      printf("o[%d] = %g %g %g\n", round * T + t, o[t][0], o[t][1], o[t][2]);
  }
  return 0;
}
