/* Tests, stand-in for libcudart: streams, whose work waits until somebody waits for it, and
 * events. */
#include "kernels/tests/standin/standin.h"

#include <stdlib.h>
#include <string.h>

struct task {
    void (*work)(void *arg);
    void *arg;
    struct task *next;
};

struct CUstream_st {
    struct task *first, **last;
    unsigned long enqueued, done;
    bool capturing;
    struct CUstream_st *next;
};

struct CUevent_st {
    cudaStream_t stream; /* NULL: not recorded */
    unsigned long place;
};

static const char stream_kind[] = "stream", event_kind[] = "event";
static struct CUstream_st *streams;

bool sb_standin_is_stream(const char *who, cudaStream_t stream) {
    if (!stream) {
        sb_standin_refuse("%s: the default stream, which all others wait for", who);
        return false;
    }
    return sb_standin_is(who, stream_kind, stream);
}

bool sb_standin_enqueue(const char *who, cudaStream_t stream, void (*work)(void *arg),
                        const void *arg, size_t bytes) {
    if (!sb_standin_is_stream(who, stream))
        return false;
    if (stream->capturing)
        return true; /* part of a graph, which the stand-in forgets */
    struct task *task = calloc(1, sizeof *task);
    void *copy = malloc(bytes ? bytes : 1);
    if (!task || !copy)
        abort();
    memcpy(copy, arg, bytes);
    *task = (struct task){work, copy, NULL};
    *stream->last = task;
    stream->last = &task->next;
    stream->enqueued++;
    return true;
}

static void drain_until(cudaStream_t stream, unsigned long place) {
    sb_standin_open_memory();
    while (stream->done < place) {
        struct task *task = stream->first;
        stream->first = task->next;
        if (!stream->first)
            stream->last = &stream->first;
        stream->done++;
        task->work(task->arg);
        free(task->arg);
        free(task);
    }
    sb_standin_close_memory();
}

bool sb_standin_drain(cudaStream_t stream) {
    if (!sb_standin_is_stream("cudaStreamSynchronize", stream))
        return false;
    if (stream->capturing) {
        sb_standin_refuse("cudaStreamSynchronize: the stream is being captured, which this breaks");
        return false;
    }
    drain_until(stream, stream->enqueued);
    return true;
}

void sb_standin_drain_all(void) {
    for (cudaStream_t stream = streams; stream; stream = stream->next)
        drain_until(stream, stream->enqueued);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    (void)flags;
    cudaStream_t made = sb_standin_make(stream_kind, sizeof *made);
    made->last = &made->first;
    made->next = streams;
    streams = made;
    *stream = made;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    if (!sb_standin_drain(stream))
        return cudaErrorInvalidResourceHandle;
    cudaStream_t *place = &streams;
    while (*place != stream)
        place = &(*place)->next;
    *place = stream->next;
    sb_standin_free("cudaStreamDestroy", stream_kind, stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return sb_standin_drain(stream) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

/* ---- Capture ---------------------------------------------------------------------------------
 */

static const char graph_kind[] = "graph";

bool sb_standin_is_captured(cudaStream_t stream) {
    return stream->capturing;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    (void)mode;
    if (!sb_standin_is_stream("cudaStreamBeginCapture", stream) || stream->capturing)
        return cudaErrorInvalidValue;
    stream->capturing = true;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    if (!sb_standin_is_stream("cudaStreamEndCapture", stream) || !stream->capturing)
        return cudaErrorInvalidValue;
    stream->capturing = false;
    *graph = sb_standin_make(graph_kind, 1);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    return sb_standin_free("cudaGraphDestroy", graph_kind, graph) ? cudaSuccess
                                                                  : cudaErrorInvalidValue;
}

/* ---- Events ----------------------------------------------------------------------------------
 */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    (void)flags;
    *event = sb_standin_make(event_kind, sizeof **event);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    return sb_standin_free("cudaEventDestroy", event_kind, event) ? cudaSuccess
                                                                  : cudaErrorInvalidResourceHandle;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    if (!sb_standin_is("cudaEventRecord", event_kind, event) ||
        !sb_standin_is_stream("cudaEventRecord", stream))
        return cudaErrorInvalidResourceHandle;
    *event = (struct CUevent_st){stream, stream->enqueued};
    return cudaSuccess;
}

/* As recorded when the wait was asked for; a stream that is gone has done its work. */
static void wait_for(void *arg) {
    const struct CUevent_st *event = arg;
    for (cudaStream_t stream = streams; stream; stream = stream->next) {
        if (stream == event->stream)
            drain_until(stream, event->place);
    }
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    (void)flags;
    if (!sb_standin_is("cudaStreamWaitEvent", event_kind, event) ||
        !sb_standin_enqueue("cudaStreamWaitEvent", stream, wait_for, event, sizeof *event))
        return cudaErrorInvalidResourceHandle;
    return cudaSuccess;
}
