/* Tests, stand-in for libcudnn: its handle and descriptors. */
#ifndef SB_STANDIN_DNN_H
#define SB_STANDIN_DNN_H

#include "kernels/tests/standin/product.h"
#include "kernels/tests/standin/standin.h"

#include <cudnn.h>

struct cudnnContext {
    cudaStream_t stream;
};

/* Packed, NCHW or, of filters, KCRS; dims[0] is 0 until it is set. */
struct cudnnTensorStruct {
    cudaDataType type;
    int dims[4];
};
struct cudnnFilterStruct {
    cudaDataType type;
    int dims[4];
};

struct cudnnConvolutionStruct {
    int padding[2], stride[2], dilation[2];
    bool set;
    cudnnDataType_t compute;
    cudnnMathType_t math;
};

struct cudnnPoolingStruct {
    bool set;
    cudnnPoolingMode_t mode;
    int window[2], padding[2], stride[2];
};

struct cudnnActivationStruct {
    bool set;
    cudnnActivationMode_t mode;
};

/* Kinds of things, by address. */
extern const char sb_standin_dnn[], sb_standin_tensor[], sb_standin_filter[],
    sb_standin_convolution[], sb_standin_pooling[], sb_standin_activation[];

/* Refuse what is not alive, or a handle without a stream. */
bool sb_standin_dnn_ready(const char *who, cudnnHandle_t handle);
/* A tensor that was set, and memory for all of it. */
bool sb_standin_dnn_tensor(const char *who, const char *what, cudnnTensorDescriptor_t tensor,
                           const void *at);
/* alpha must be 1 and beta 0, on the host, in the type that goes with the tensors'. */
bool sb_standin_dnn_scalars(const char *who, cudaDataType type, const void *alpha,
                            const void *beta);
bool sb_standin_dnn_shape(const char *who, const char *what, cudnnTensorDescriptor_t tensor,
                          cudaDataType type, int n, int c, int h, int w);
size_t sb_standin_dnn_elements(const int dims[4]);
/* Memory of the device, aligned for cuDNN. */
bool sb_standin_dnn_memory(const char *who, const char *what, const void *at, size_t bytes);

/* Adds up n terms in f32 (f64 where type is): from `first` on and round. */
double sb_standin_dnn_sum(cudaDataType type, const double *terms, size_t n, size_t first);

cudnnStatus_t sb_standin_dnn_status(bool good);

/* A convolution or a gradient of one, by the tensors of the forward direction. Sums begin at term
 * `first`, or anywhere. */
enum sb_standin_direction { SB_STANDIN_FORWARD, SB_STANDIN_DATA, SB_STANDIN_FILTER };
struct sb_standin_convolution {
    enum sb_standin_direction direction;
    cudaDataType type;
    int x[4], w[4], y[4]; /* nchw, kcrs, nkpq */
    int padding[2], stride[2], dilation[2];
    const void *a, *b; /* the factors, in the order of x, w, y */
    void *out;
    size_t first;
    bool anywhere;
};
/* Are y's dimensions those that follow from the rest? */
bool sb_standin_dnn_fits(const char *who, const struct sb_standin_convolution *of);
/* Checks the three addresses, and puts the work into the stream. */
bool sb_standin_dnn_convolve(const char *who, cudaStream_t stream,
                             const struct sb_standin_convolution *of);

#endif
