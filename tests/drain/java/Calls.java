import com.google.gson.Gson;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Calls with grpc-java: Calls POLICY ADDRESS */
public class Calls {
    static final int REFUSED_IN_A_ROW = 20;
    static final int MOST_CHANNELS = 2000;

    static final MethodDescriptor.Marshaller<byte[]> BYTES = new MethodDescriptor.Marshaller<>() {
        public InputStream stream(byte[] message) {
            return new ByteArrayInputStream(message);
        }

        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    };

    static final MethodDescriptor<byte[], byte[]> METHOD = MethodDescriptor.<byte[], byte[]>newBuilder()
        .setType(MethodDescriptor.MethodType.UNARY)
        .setFullMethodName("claude.v1.ClaudeService/ListModels")
        .setRequestMarshaller(BYTES)
        .setResponseMarshaller(BYTES)
        .build();

    static final Metadata.Key<byte[]> DETAILS =
        Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

    final String policy;
    final String address;

    Calls(String policy, String address) {
        this.policy = policy;
        this.address = address;
    }

    @SuppressWarnings("unchecked")
    ManagedChannel channel() throws IOException {
        var builder = ManagedChannelBuilder.forTarget(address).usePlaintext();
        if (!policy.equals("none")) {
            Map<String, ?> config = new Gson().fromJson(Files.readString(Path.of(policy)), Map.class);
            builder.defaultServiceConfig(config).enableRetry();
        }
        return builder.build();
    }

    /** Prints a call; returns whether it was refused. */
    static boolean call(ManagedChannel channel, String age) {
        var options = CallOptions.DEFAULT.withDeadlineAfter(20, TimeUnit.SECONDS);
        long began = System.nanoTime();
        var code = Status.Code.OK;
        var reason = "-";
        try {
            ClientCalls.blockingUnaryCall(channel, METHOD, options, new byte[0]);
        } catch (StatusRuntimeException error) {
            code = error.getStatus().getCode();
            var trailers = error.getTrailers();
            byte[] details = trailers == null ? null : trailers.get(DETAILS);
            if (details != null && new String(details, StandardCharsets.ISO_8859_1).contains("DRAINING")) {
                reason = "DRAINING";
            }
        }
        long took = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);
        System.out.println(age + " " + code + " " + reason + " " + took);
        return code != Status.Code.OK;
    }

    public static void main(String[] arguments) throws IOException {
        var calls = new Calls(arguments[0], arguments[1]);
        var old = calls.channel();
        int refused = 0;
        for (int channels = 0; refused < REFUSED_IN_A_ROW && channels < MOST_CHANNELS; channels++) {
            call(old, "old");
            var channel = calls.channel();
            boolean first = call(channel, "new");
            boolean second = call(channel, "new");
            refused = first && second ? refused + 1 : 0;
            channel.shutdownNow();
        }
        old.shutdownNow();
    }
}
