# The course in a container, without tests and CUDA: what Binder installs. In the root of a clone:
#   docker build -t rlhf-labs .
#   docker run --rm -p 127.0.0.1:8888:8888 rlhf-labs
FROM mambaorg/micromamba:2.0.5

WORKDIR /course
COPY --chown=$MAMBA_USER:$MAMBA_USER . .
ENV PATH=/opt/conda/bin:$PATH
RUN micromamba install -y -n base -f .binder/environment.yml \
    && .binder/postBuild \
    && micromamba clean -a -y

EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser", "notebooks"]
