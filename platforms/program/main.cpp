#include <cstdio>

int main() { std::puts("virtio-tlm 0.1.0"); }
